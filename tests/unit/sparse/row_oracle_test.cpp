// The per-row oracle, judged by its definition on fp64 probabilities, and by the bound that it is.
#include "sparse/row_oracle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <ostream>

#include "core/error.h"
#include "sparse/masks.h"
#include "sparse/sparse_executor.h"
#include "support/expect_error.h"
#include "support/near.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::near;
using testing::Qkv;

struct OracleCase {
  std::string name;
  TokenGrid grid;
  TileShape tile{4, 4, 4};
  int64_t batch = 1, prefix = 0, suffix = 0;

  Qkv inputs() const {
    return testing::random_qkv(batch, 3, prefix + grid.tokens() + suffix, 16, 17);
  }
  TokenLayout layout() const { return make_token_layout(TileGrid(grid, tile), prefix, suffix); }
  bool is_text(int64_t token) const { return token < prefix || token >= prefix + grid.tokens(); }
};

void PrintTo(const OracleCase& one, std::ostream* stream) { *stream << one.name; }

const OracleCase kCases[] = {
    {.name = "Even", .grid = {4, 8, 8}},
    {.name = "RaggedBatchAndText",
     .grid = {3, 5, 7},
     .tile = {2, 3, 4},
     .batch = 2,
     .prefix = 5,
     .suffix = 3},
    {.name = "LongTiles", .grid = {4, 6, 8}, .tile = {4, 6, 4}, .prefix = 70},
    {.name = "OneTile", .grid = {2, 3, 3}, .suffix = 1},
};

class RowOracle : public ::testing::TestWithParam<OracleCase> {
 protected:
  struct Outcome {
    std::vector<float> out, lse;
    SparseRun run;
  };
  Outcome execute(const Qkv& x, int64_t top_k, TileChoice choice, Impl impl, int threads = 2) {
    const PlanRule rule{.params = VsaParams{.top_k = top_k, .choice = choice}};
    const std::vector<const PlanRule*> rules(x.heads, &rule);
    ThreadPool pool(threads);
    SparseExecutor executor(GetParam().tile, impl, pool);
    Outcome result;
    result.lse.resize(x.batch * x.heads * x.tokens);
    const AttentionCall call =
        testing::make_call(x, GetParam().grid, result.out, GetParam().prefix, GetParam().suffix);
    result.run = executor.run(call, rules, result.lse.data());
    return result;
  }
  std::vector<int64_t> counts() const {
    const int64_t num_tiles = GetParam().layout().num_tiles();
    std::vector<int64_t> counts{1, (num_tiles + 2) / 3, num_tiles};
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    return counts;
  }
  testing::NaiveResult dense(const Qkv& x) const {
    return testing::naive_attention(x, 1.0 / std::sqrt(static_cast<double>(x.head_dim)),
                                    [](int64_t, int64_t, int64_t, int64_t) { return true; });
  }
  // [B, H, S] text and the K largest probabilities on tiles; 1 for text rows.
  std::vector<double> best_mass(const Qkv& x, int64_t top_k) const {
    const TokenLayout layout = GetParam().layout();
    const double scale = 1.0 / std::sqrt(static_cast<double>(x.head_dim));
    const std::vector<double> lse = dense(x).lse;
    std::vector<double> best;
    for (int64_t i = 0; i < std::ssize(lse); ++i) {
      const int64_t row = i % x.tokens, head = i / x.tokens % x.heads;
      std::vector<double> tiles(layout.num_tiles(), 0.0);
      double text = 0;
      for (int64_t key = 0; key < x.tokens; ++key) {
        const double p = std::exp(x.logit(scale, i / x.tokens / x.heads, head, row, key) - lse[i]);
        (GetParam().is_text(key) ? text : tiles[layout.tiles.tile_of_token(key - layout.prefix)]) +=
            p;
      }
      std::sort(tiles.rbegin(), tiles.rend());
      best.push_back(GetParam().is_text(row)
                         ? 1.0
                         : std::accumulate(tiles.begin(), tiles.begin() + top_k, text));
    }
    return best;
  }
};

std::vector<double> captured(const std::vector<float>& lse, const std::vector<double>& dense_lse) {
  std::vector<double> mass;
  for (size_t i = 0; i < lse.size(); ++i) mass.push_back(std::exp(lse[i] - dense_lse[i]));
  return mass;
}

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

TEST_P(RowOracle, EveryRowCapturesTheMostThatKTilesHold) {
  const Qkv x = GetParam().inputs();
  const std::vector<double> dense_lse = dense(x).lse;
  for (const int64_t top_k : counts()) {
    const std::vector<double> best = best_mass(x, top_k);
    for (const Impl impl : available_impls()) {
      const Outcome found = execute(x, top_k, TileChoice::kOracle, impl);
      EXPECT_TRUE(near(captured(found.lse, dense_lse), best, {.max_abs = 3e-5})) << top_k;
    }
  }
}

TEST_P(RowOracle, NoOtherChoiceCapturesMore) {
  const Qkv x = GetParam().inputs();
  const std::vector<double> dense_lse = dense(x).lse;
  for (const int64_t top_k : counts()) {
    const auto recall = [&](TileChoice choice) {
      return sum_of(captured(execute(x, top_k, choice, Impl::kReference).lse, dense_lse)) /
             static_cast<double>(dense_lse.size());
    };
    const double oracle = recall(TileChoice::kOracle);
    EXPECT_GE(oracle, recall(TileChoice::kPooled) - 1e-5) << top_k;
    EXPECT_GE(oracle, recall(TileChoice::kRandom) - 1e-5) << top_k;
  }
}

TEST_P(RowOracle, OutputAndDensityAreThoseOfItsSelection) {
  const Qkv x = GetParam().inputs();
  const TokenLayout layout = GetParam().layout();
  const int64_t top_k = counts().size() > 1 ? counts()[1] : 1;
  std::vector<VsaHead> heads;
  for (int64_t i = 0; i < x.batch * x.heads; ++i)
    heads.push_back({i / x.heads, i % x.heads, top_k});
  for (const Impl impl : available_impls()) {
    ThreadPool pool(2);
    std::vector<float> scratch;
    const AttentionCall call =
        testing::make_call(x, GetParam().grid, scratch, GetParam().prefix, GetParam().suffix);
    std::vector<std::vector<uint8_t>> masks;  // [B * H][S_video, N]
    for (const RowSelection& selection : select_row_oracle(call, layout, heads, impl, pool)) {
      masks.push_back(block_mask(layout, selection));
    }
    const auto attends = [&](int64_t b, int64_t h, int64_t row, int64_t key) {
      if (GetParam().is_text(row) || GetParam().is_text(key)) return true;
      const int64_t tile = layout.tiles.tile_of_token(key - layout.prefix);
      return masks[b * x.heads + h][(row - layout.prefix) * layout.num_tiles() + tile] != 0;
    };
    const Outcome found = execute(x, top_k, TileChoice::kOracle, impl);
    const auto expected = testing::naive_attention(x, call.scale, attends);
    EXPECT_TRUE(near(found.out, expected.out, {.max_abs = 1e-5}));
    for (int64_t h = 0; h < x.heads; ++h) {
      int64_t pairs = 0;
      for (int64_t b = 0; b < x.batch; ++b) {
        for (int64_t i = 0; i < x.tokens * x.tokens; ++i) {
          pairs += attends(b, h, i / x.tokens, i % x.tokens);
        }
      }
      EXPECT_NEAR(found.run.density[h],
                  static_cast<double>(pairs) / (x.batch * x.tokens * x.tokens), 1e-12);
    }
  }
}

TEST_P(RowOracle, ThreadsDoNotMatter) {
  const Qkv x = GetParam().inputs();
  for (const Impl impl : available_impls()) {
    const Outcome one = execute(x, 1, TileChoice::kOracle, impl, 1);
    const Outcome three = execute(x, 1, TileChoice::kOracle, impl, 3);
    EXPECT_EQ(one.run.density, three.run.density);
    EXPECT_TRUE(near(one.out, three.out, {.max_abs = 1e-6}));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, RowOracle, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(RowOracleRule, EvenGridsHaveTheDensityAskedForAndTiesGoToTheLowerTile) {
  const TokenGrid grid{4, 8, 8};  // 4 tiles
  Qkv x = testing::random_qkv(1, 1, grid.tokens(), 8, 3);
  std::fill(x.q.begin(), x.q.end(), 0.0f);  // all tiles hold the same
  const TokenLayout layout = make_token_layout(TileGrid(grid, {4, 4, 4}), 0, 0);
  ThreadPool pool(2);
  std::vector<float> out;
  const AttentionCall call = testing::make_call(x, grid, out);
  const VsaHead head{0, 0, 2};
  for (const Impl impl : available_impls()) {
    const RowSelection selection = select_row_oracle(call, layout, {&head, 1}, impl, pool)[0];
    for (int64_t position = 0; position < selection.num_rows; ++position) {
      for (int64_t tile = 0; tile < 4; ++tile) {
        ASSERT_EQ(selection.selected(tile, position), tile < 2);
      }
    }
  }
  const PlanRule rule{.params = VsaParams{.top_k = 2, .choice = TileChoice::kOracle}};
  const std::vector<const PlanRule*> rules = {&rule};
  SparseExecutor executor({4, 4, 4}, Impl::kReference, pool);
  EXPECT_EQ(executor.run(call, rules, nullptr).density, std::vector<double>{0.5});
}

TEST(RowOracleRule, RefusesOtherCounts) {
  const TokenGrid grid{4, 8, 8};
  const Qkv x = testing::random_qkv(1, 1, grid.tokens(), 8, 3);
  const TokenLayout layout = make_token_layout(TileGrid(grid, {4, 4, 4}), 0, 0);
  ThreadPool pool(1);
  std::vector<float> out;
  const AttentionCall call = testing::make_call(x, grid, out);
  for (const int64_t top_k : {0, 5}) {
    const VsaHead head{0, 0, top_k};
    testing::error_of(ErrorKind::kUsage, [&] {
      select_row_oracle(call, layout, {&head, 1}, Impl::kReference, pool);
    });
  }
}

}  // namespace
}  // namespace sparsescope
