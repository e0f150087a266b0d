// Sparse attention of whole calls, judged by a masked softmax in fp64 over the selection's own
// masks, and by the laws that hold between sparse and dense attention.
#include "sparse/sparse_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <tuple>

#include "core/error.h"
#include "kernels/kernel_table.h"
#include "sparse/bsa_selector.h"
#include "sparse/masks.h"
#include "sparse/vmoba_selector.h"
#include "sparse/vsa_selector.h"
#include "support/near.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::AttendsTo;
using testing::near;
using testing::Qkv;

struct CallShape {
  std::string name;
  TokenGrid grid;
  TileShape tile;
  int64_t batch = 1, heads = 2, head_dim = 16, prefix = 0, suffix = 0;
  Partition partition;

  int64_t tokens() const { return prefix + grid.tokens() + suffix; }
  Qkv inputs() const { return testing::random_qkv(batch, heads, tokens(), head_dim, 11); }
  TokenLayout tile_layout() const {
    return make_token_layout(TileGrid(grid, tile), prefix, suffix);
  }
  TokenLayout block_layout() const {
    return make_token_layout(partition_blocks(partition, grid), prefix, suffix);
  }
  bool is_text(int64_t token) const { return token < prefix || token >= prefix + grid.tokens(); }
};

void PrintTo(const CallShape& shape, std::ostream* stream) { *stream << shape.name; }

std::vector<CallShape> shapes() {
  return {{.name = "Even",
           .grid = {4, 8, 8},
           .tile = {4, 4, 4},
           .partition = parse_partition("st:2,4,4")},
          {.name = "RaggedBatchAndText",
           .grid = {3, 5, 7},
           .tile = {2, 3, 4},
           .batch = 2,
           .head_dim = 24,
           .prefix = 5,
           .suffix = 3,
           .partition = parse_partition("temporal:2")},
          {.name = "LongTiles",
           .grid = {4, 6, 8},
           .tile = {4, 6, 4},
           .heads = 1,
           .prefix = 70,
           .partition = parse_partition("spatial:3,4")},
          {.name = "Prime",
           .grid = {7, 13, 15},
           .tile = {4, 4, 4},
           .heads = 1,
           .head_dim = 8,
           .partition = parse_partition("temporal:2")},
          {.name = "OneTile",
           .grid = {2, 3, 3},
           .tile = {4, 4, 4},
           .suffix = 1,
           .partition = parse_partition("temporal:1")}};
}

class SparseExecution : public ::testing::TestWithParam<std::tuple<CallShape, Impl>> {
 protected:
  const CallShape& shape() const { return std::get<0>(GetParam()); }
  Impl impl() const { return std::get<1>(GetParam()); }

  struct Outcome {
    std::vector<float> out, lse;
    SparseRun run;
  };
  Outcome execute(const Qkv& x, const std::vector<const PlanRule*>& rules) {
    Outcome result;
    const AttentionCall call =
        testing::make_call(x, shape().grid, result.out, shape().prefix, shape().suffix);
    result.lse.assign(x.batch * x.heads * x.tokens, 0.0f);
    SparseExecutor executor(shape().tile, impl(), pool_);
    result.run = executor.run(call, rules, result.lse.data());
    return result;
  }
  Outcome execute(const Qkv& x, const PlanRule& rule) {
    return execute(x, std::vector<const PlanRule*>(x.heads, &rule));
  }

  // Output, lse, captured mass and density are those of the mask.
  void expect_masked_softmax(const Qkv& x, const Outcome& found, const AttendsTo& attends) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(x.head_dim));
    const auto sparse = testing::naive_attention(x, scale, attends);
    const auto dense =
        testing::naive_attention(x, scale, [](int64_t, int64_t, int64_t, int64_t) { return true; });
    EXPECT_TRUE(near(found.out, sparse.out, {.max_abs = 1e-5}));
    EXPECT_TRUE(near(found.lse, sparse.lse, {.max_abs = 2e-5}));
    std::vector<double> captured;
    for (size_t i = 0; i < found.lse.size(); ++i) {
      captured.push_back(std::exp(found.lse[i] - dense.lse[i]));
    }
    EXPECT_TRUE(near(captured, sparse.mass, {.max_abs = 3e-5}));
    expect_density(x, found.run, attends);
  }

  void expect_density(const Qkv& x, const SparseRun& run, const AttendsTo& attends) {
    for (int64_t h = 0; h < x.heads; ++h) {
      int64_t pairs = 0;
      for (int64_t b = 0; b < x.batch; ++b) {
        for (int64_t row = 0; row < x.tokens; ++row) {
          for (int64_t key = 0; key < x.tokens; ++key) pairs += attends(b, h, row, key);
        }
      }
      EXPECT_NEAR(run.density[h], static_cast<double>(pairs) / (x.batch * x.tokens * x.tokens),
                  1e-12);
    }
  }

  ThreadPool pool_{2};
};

TEST_P(SparseExecution, VsaIsTheMaskedSoftmax) {
  const Qkv x = shape().inputs();
  const TokenLayout layout = shape().tile_layout();
  const int64_t num_tiles = layout.num_tiles();
  const PlanRule rule{.params = VsaParams{.top_k = (num_tiles + 2) / 3}};
  std::vector<std::vector<uint8_t>> masks;
  for (int64_t i = 0; i < x.batch * x.heads; ++i) {
    const auto selection = testing::select_vsa_head(
        {x.view(x.q), x.view(x.k), 1.0f / std::sqrt(static_cast<float>(x.head_dim)), &layout,
         impl()},
        i / x.heads, i % x.heads, (num_tiles + 2) / 3);
    masks.push_back(tile_mask(selection.lists, num_tiles));
  }
  const auto tile_of = [&](int64_t token) {
    return layout.tiles.tile_of_token(token - layout.prefix);
  };
  expect_masked_softmax(x, execute(x, rule), [&](int64_t b, int64_t h, int64_t row, int64_t key) {
    return shape().is_text(row) || shape().is_text(key) ||
           masks[b * x.heads + h][tile_of(row) * num_tiles + tile_of(key)] != 0;
  });
}

TEST_P(SparseExecution, VmobaIsTheMaskedSoftmax) {
  const Qkv x = shape().inputs();
  const TokenLayout layout = shape().block_layout();
  std::vector<int64_t> heads;
  for (int64_t h = 0; h < x.heads; ++h) heads.push_back(h);
  for (const VmobaParams& params : {VmobaParams{.partition = shape().partition,
                                   .top_k = std::min<int64_t>(2, layout.num_tiles())},
                                    VmobaParams{.partition = shape().partition,
                                    .select = VmobaSelect::kThreshold,
                                    .threshold = 0.3,
                                    .pool = VmobaPool::kOverall}}) {
    std::vector<std::vector<uint8_t>> masks;  // [B * H][S_video, blocks]
    for (const auto& selection :
         select_vmoba(x.view(x.q), x.view(x.k), heads, layout, {.params = params}, impl(), pool_)) {
      masks.push_back(block_mask(layout, selection));
    }
    const auto attends = [&](int64_t b, int64_t h, int64_t row, int64_t key) {
      if (shape().is_text(row) || shape().is_text(key)) return true;
      const int64_t block = layout.tiles.tile_of_token(key - layout.prefix);
      return masks[b * x.heads + h][(row - layout.prefix) * layout.num_tiles() + block] != 0;
    };
    for (int64_t row = layout.prefix; row < layout.prefix + layout.video_tokens(); ++row) {
      for (int64_t i = 0; i < x.batch * x.heads; ++i) {
        ASSERT_TRUE(attends(i / x.heads, i % x.heads, row, row)) << "the own block is missing";
      }
    }
    expect_masked_softmax(x, execute(x, {.params = params}), attends);
  }
}

TEST_P(SparseExecution, BsaIsTheMaskedSoftmaxOfItsKeptQueriesAndCopiesOfThem) {
  const Qkv x = shape().inputs();
  const TokenLayout layout = shape().tile_layout();
  const BsaParams params{.query_keep = 0.5, .kv_keep = 0.4, .min_blocks = 1};
  std::vector<BsaSelection> selections;
  std::vector<std::vector<uint8_t>> masks;
  for (int64_t i = 0; i < x.batch * x.heads; ++i) {
    selections.push_back(testing::select_bsa_head(
        {x.view(x.q), x.view(x.k), 1.0f / std::sqrt(static_cast<float>(x.head_dim)), &layout,
         impl()},
        i / x.heads, i % x.heads, bsa_options(params)));
    masks.push_back(tile_mask(selections.back().lists, layout.num_tiles()));
  }
  const auto source_of = [&](int64_t b, int64_t h, int64_t row) {
    if (shape().is_text(row)) return row;
    return int64_t{selections[b * x.heads + h].restore_from[row - layout.prefix]};
  };
  const auto attends = [&](int64_t b, int64_t h, int64_t row, int64_t key) {
    if (shape().is_text(row) || shape().is_text(key)) return true;
    const int64_t i = layout.tiles.tile_of_token(row - layout.prefix);
    const int64_t j = layout.tiles.tile_of_token(key - layout.prefix);
    return masks[b * x.heads + h][i * layout.num_tiles() + j] != 0;
  };
  const Outcome found = execute(x, PlanRule{.params = params});
  const auto expected =
      testing::naive_attention(x, 1.0 / std::sqrt(static_cast<double>(x.head_dim)), attends);
  int64_t pruned = 0;
  for (int64_t i = 0; i < x.batch * x.heads; ++i) {
    for (int64_t row = 0; row < x.tokens; ++row) {
      const int64_t source = source_of(i / x.heads, i % x.heads, row);
      const int64_t at = i * x.tokens + row, from = i * x.tokens + source;
      for (int64_t d = 0; d < x.head_dim; ++d) {
        ASSERT_NEAR(found.out[at * x.head_dim + d], expected.out[from * x.head_dim + d], 1e-5);
      }
      if (source == row) {
        ASSERT_NEAR(found.lse[at], expected.lse[at], 2e-5);
      } else {
        ++pruned;
        ASSERT_TRUE(std::isnan(found.lse[at]));
      }
    }
  }
  EXPECT_GT(pruned, x.batch * x.heads * layout.video_tokens() / 4);
  expect_density(x, found.run, [&](int64_t b, int64_t h, int64_t row, int64_t key) {
    return source_of(b, h, row) == row && attends(b, h, row, key);
  });
}

TEST_P(SparseExecution, FullDensityIsDense) {
  const Qkv x = shape().inputs();
  const auto dense =
      testing::naive_attention(x, 1.0 / std::sqrt(static_cast<double>(x.head_dim)),
                               [](int64_t, int64_t, int64_t, int64_t) { return true; });
  const std::vector<PlanRule> rules = {
      {.params = VsaParams{.top_k = shape().tile_layout().num_tiles()}},
      {.params = BsaParams{.query_keep = 1.0, .kv_keep = 1.0}},
      {.params = VmobaParams{.partition = shape().partition, .top_k = 1000}}};
  for (const PlanRule& rule : rules) {
    const Outcome found = execute(x, rule);
    EXPECT_TRUE(near(found.out, dense.out, {.max_abs = 1e-5}));
    EXPECT_TRUE(near(found.lse, dense.lse, {.max_abs = 2e-5}));
    EXPECT_EQ(found.run.density, std::vector<double>(x.heads, 1.0));
  }
}

INSTANTIATE_TEST_SUITE_P(AllShapesAndImpls, SparseExecution,
                         ::testing::Combine(::testing::ValuesIn(shapes()),
                                            ::testing::ValuesIn(available_impls())),
                         [](const auto& param) {
                           std::string impl(impl_name(std::get<1>(param.param)));
                           impl.erase(std::remove(impl.begin(), impl.end(), '-'), impl.end());
                           return std::get<0>(param.param).name + "_" + impl;
                         });

// Heads under different rules, methods and none, in one call, equal each rule run on all heads.
class MixedHeads : public ::testing::TestWithParam<int64_t> {};

TEST_P(MixedHeads, EachHeadFollowsItsOwnRule) {
  const TokenGrid grid{4, 6, 8};
  const Qkv x = testing::random_qkv(GetParam(), 9, 2 + grid.tokens(), 16, 21);
  const PlanRule sparse_1{.params = VsaParams{.top_k = 2}},
      sparse_2{.params = VsaParams{.top_k = 4}};
  const PlanRule random{.params = VsaParams{.top_k = 3, .choice = TileChoice::kRandom}};
  const PlanRule oracle{.params = VsaParams{.top_k = 2, .choice = TileChoice::kOracle}};
  const PlanRule pruned{.params = BsaParams{.kv_keep = 0.5, .min_blocks = 2}};
  const PlanRule blocks{.params =
                            VmobaParams{.partition = parse_partition("spatial:3,4"), .top_k = 2}};
  const std::vector<const PlanRule*> mixed = {nullptr, nullptr, &sparse_1, &pruned, &sparse_2,
                                              nullptr, &blocks, &oracle,   &random};
  ThreadPool pool(2);
  SparseExecutor executor({4, 4, 4}, Impl::kReference, pool);
  const auto execute = [&](const std::vector<const PlanRule*>& rules, std::vector<float>& lse) {
    std::vector<float> out;
    lse.assign(x.batch * x.heads * x.tokens, 0.0f);
    executor.run(testing::make_call(x, grid, out, 2, 0), rules, lse.data());
    return out;
  };
  std::vector<float> mixed_lse;
  const std::vector<float> together = execute(mixed, mixed_lse);
  for (int64_t h = 0; h < x.heads; ++h) {
    std::vector<float> lse;
    const auto alone = execute(std::vector<const PlanRule*>(x.heads, mixed[h]), lse);
    for (int64_t b = 0; b < x.batch; ++b) {
      const int64_t row = (b * x.heads + h) * x.tokens;
      for (int64_t i = row; i < row + x.tokens; ++i) {
        ASSERT_TRUE(mixed_lse[i] == lse[i] || (std::isnan(mixed_lse[i]) && std::isnan(lse[i])));
      }
      for (int64_t i = row * x.head_dim; i < (row + x.tokens) * x.head_dim; ++i) {
        ASSERT_EQ(together[i], alone[i]) << "head " << h;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, MixedHeads, ::testing::Values(1, 2));

TEST(SparseExecutor, CallsOfDifferentGridsFollowEachOther) {
  ThreadPool pool(2);
  SparseExecutor executor({4, 4, 4}, Impl::kReference, pool);
  const PlanRule rule{.params = VsaParams{.top_k = 1}};
  std::vector<double> densities;
  for (const TokenGrid& grid : {TokenGrid{4, 4, 8}, TokenGrid{4, 8, 8}, TokenGrid{4, 4, 8}}) {
    const Qkv x = testing::random_qkv(1, 1, grid.tokens(), 8, 31);
    std::vector<float> out;
    const std::vector<const PlanRule*> rules = {&rule};
    densities.push_back(executor.run(testing::make_call(x, grid, out), rules, nullptr).density[0]);
  }
  EXPECT_EQ(densities, (std::vector<double>{0.5, 0.25, 0.5}));
}

TEST(SparseExecutor, RefusesAGridThatDoesNotFitTheTokens) {
  ThreadPool pool(1);
  SparseExecutor executor({4, 4, 4}, Impl::kReference, pool);
  const Qkv x = testing::random_qkv(1, 1, 17, 8, 31);
  std::vector<float> out;
  const std::vector<const PlanRule*> rules = {nullptr};
  try {
    executor.run(testing::make_call(x, {2, 2, 4}, out), rules, nullptr);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

TEST(SparseHook, RunsThePlanAndDenseSteps) {
  const TokenGrid grid{4, 4, 8};
  Plan plan;
  plan.model.heads = 2;
  plan.grid = grid;
  plan.tile = {4, 4, 4};
  plan.num_steps = 3;
  plan.dense_steps = {0};
  plan.rules = {
      {.steps = {0, 2}, .layers = {0, 0}, .heads = {0, 1}, .params = VsaParams{.top_k = 1}}};
  ThreadPool pool(2);
  SparseHook hook(plan, Impl::kReference, pool);
  const Qkv x = testing::random_qkv(1, 2, grid.tokens(), 8, 41);
  std::vector<float> out;
  AttentionCall call = testing::make_call(x, grid, out);
  hook.attend(call);
  EXPECT_EQ(hook.last_run().density, (std::vector<double>{1.0, 1.0}));
  call.site.step = 1;
  hook.attend(call);
  EXPECT_EQ(hook.last_run().density, (std::vector<double>{0.5, 0.5}));
  call.site.layer = 1;
  hook.attend(call);
  EXPECT_EQ(hook.last_run().density, (std::vector<double>{1.0, 1.0}));
  EXPECT_GT(hook.attention_seconds(), hook.last_run().attention_seconds);
  call.grid = {8, 4, 4};
  EXPECT_THROW(hook.attend(call), Error);
}

}  // namespace
}  // namespace sparsescope
