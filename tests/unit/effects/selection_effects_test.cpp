// Errors and changes of all settings at once, against the selectors and sparse kernels run setting
// by setting.
#include "effects/selection_effects.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "capture/reducers/head_sums.h"
#include "capture/statistic_grids.h"
#include "core/rng.h"
#include "effects/tile_ladders.h"
#include "sparse/sparse_executor.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

constexpr int64_t kHeads = 2, kHeadDim = 16;
constexpr TokenGrid kGrid{4, 6, 5};
constexpr TileShape kTile{2, 4, 4};  // ragged in h and w
constexpr VmobaPool kPools[] = {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock,
                                VmobaPool::kOverall};

struct Case {
  int64_t prefix = 0, suffix = 0;
  std::vector<Partition> partitions{parse_partition("temporal:1"), parse_partition("spatial:3,5"),
                                    parse_partition("st:2,2,5")};
  ThreadPool pool{2};
  testing::Qkv x = testing::random_qkv(1, kHeads, prefix + kGrid.tokens() + suffix, kHeadDim, 5);
  std::vector<float> out = std::vector<float>(x.q.size());
  std::vector<std::vector<float>> directions;

  Case(int64_t prefix_in, int64_t suffix_in) : prefix(prefix_in), suffix(suffix_in) {
    for (uint64_t j = 0; j < 2; ++j) {
      std::vector<float>& direction = directions.emplace_back(x.q.size());
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = static_cast<float>(normal(j + 1, i));
      }
    }
    run(std::nullopt, out);
  }

  AttentionCall call(std::vector<float>& to) const {
    return testing::make_call(x, kGrid, to, prefix, suffix);
  }

  // With the dense output in place.
  AttentionCall dense_call() {
    std::vector<float> unused;
    AttentionCall result = call(unused);
    result.out = contiguous_output(out.data(), kHeads, x.tokens, kHeadDim);
    return result;
  }

  // All heads by one setting, or dense.
  void run(const std::optional<MethodParams>& params, std::vector<float>& to) {
    to.resize(x.q.size());
    SparseExecutor executor(kTile, default_cpu_impl(), pool);
    PlanRule rule;
    if (params) rule.params = *params;
    const std::vector<const PlanRule*> rules(kHeads, params ? &rule : nullptr);
    executor.run(call(to), rules, nullptr);
  }

  bool is_row_of(const std::vector<int32_t>& tiles, int64_t token) const {
    const int64_t raster = token - prefix;
    if (raster < 0 || raster >= kGrid.tokens()) return false;
    const TileGrid grid(kGrid, kTile);
    for (const int32_t tile : tiles) {
      const Box box = grid.box(tile);
      const int64_t t = raster / (kGrid.h * kGrid.w), h = raster / kGrid.w % kGrid.h,
                    w = raster % kGrid.w;
      if (t >= box.t0 && t < box.t0 + box.t && h >= box.h0 && h < box.h0 + box.h && w >= box.w0 &&
          w < box.w0 + box.w) {
        return true;
      }
    }
    return false;
  }
};

struct Expectation {
  double error = 0.0;
  double change[2] = {0.0, 0.0};
};

Expectation expect(Case& c, const EffectRows& rows, int64_t head, const MethodParams& params) {
  std::vector<float> sparse;
  c.run(params, sparse);
  Expectation result;
  for (int64_t token = 0; token < c.x.tokens; ++token) {
    const size_t first = (head * c.x.tokens + token) * kHeadDim;
    for (size_t i = first; i < first + kHeadDim; ++i) {
      const double difference = static_cast<double>(sparse[i]) - c.out[i];
      if (c.is_row_of(rows.error_tiles, token)) result.error += difference * difference;
      for (int j = 0; j < 2 && c.is_row_of(rows.change_tiles, token); ++j) {
        result.change[j] += difference * c.directions[j][i];
      }
    }
  }
  return result;
}

// Errors relative to the norm, changes relative to the norms of output and direction.
void expect_step(Case& c, const EffectRows& rows, const HeadEffects& head, int64_t head_idx,
                 const LadderSums& sums, int64_t step, const MethodParams& params) {
  const Expectation expected = expect(c, rows, head_idx, params);
  EXPECT_NEAR(std::sqrt(sums.error[step] / head.norm), std::sqrt(expected.error / head.norm), 2e-5);
  const int64_t steps = std::ssize(sums.change) / 2;
  const double scale = std::sqrt(head.norm * static_cast<double>(c.x.tokens * kHeadDim));
  for (int j = 0; j < 2; ++j) {
    EXPECT_NEAR(sums.change[j * steps + step] / scale, expected.change[j] / scale, 2e-6);
  }
}

class SelectionEffectsTest : public ::testing::TestWithParam<std::pair<int64_t, int64_t>> {
 protected:
  Case c_{GetParam().first, GetParam().second};
  EffectRows rows_{{0, 3, 5}, {0, 1, 2, 3, 4, 5, 6, 7}};
  std::vector<HeadEffects> measure() {
    SelectionEffects effects(kTile, c_.partitions, default_cpu_impl(), c_.pool);
    return effects.measure(c_.dense_call(), rows_, c_.directions);
  }
};

TEST_P(SelectionEffectsTest, VsaIsWhatTheKernelsDo) {
  const int64_t num_tiles = TileGrid(kGrid, kTile).num_tiles();
  ASSERT_EQ(num_tiles, 8);
  const std::vector<HeadEffects> heads = measure();
  for (int64_t h = 0; h < kHeads; ++h) {
    for (int64_t step = 0; step < std::ssize(kFractions); ++step) {
      SCOPED_TRACE(::testing::Message() << "head " << h << " f " << kFractions[step]);
      expect_step(c_, rows_, heads[h], h, heads[h].pooled, step,
                  VsaParams{.top_k = tiles_kept(kFractions[step], num_tiles)});
    }
  }
}

TEST_P(SelectionEffectsTest, BsaIsWhatTheKernelsDo) {
  const std::vector<HeadEffects> heads = measure();
  for (int64_t h = 0; h < kHeads; ++h) {
    for (int64_t step = 0; step < std::ssize(kFractions); ++step) {
      SCOPED_TRACE(::testing::Message() << "head " << h << " kappa " << kFractions[step]);
      BsaParams params = ladder_bsa_params(kTile);
      params.kv_keep = kFractions[step];
      expect_step(c_, rows_, heads[h], h, heads[h].bsa, step, params);
      params.query_keep = 1.0;
      expect_step(c_, rows_, heads[h], h, heads[h].bsa_unpruned, step, params);
    }
  }
}

TEST_P(SelectionEffectsTest, VmobaIsWhatTheKernelsDo) {
  const std::vector<HeadEffects> heads = measure();
  for (size_t p = 0; p < c_.partitions.size(); ++p) {
    const int64_t blocks = partition_blocks(c_.partitions[p], kGrid).num_tiles();
    VmobaParams params{.partition = c_.partitions[p]};
    for (int64_t h = 0; h < kHeads; ++h) {
      SCOPED_TRACE(::testing::Message() << to_string(c_.partitions[p]) << " head " << h);
      params.select = VmobaSelect::kTopK;
      params.pool = VmobaPool::kQueryHead;
      for (int64_t k = 1; k <= blocks; ++k) {
        params.top_k = k;
        expect_step(c_, rows_, heads[h], h, heads[h].top_k[p], k - 1, params);
      }
      params.select = VmobaSelect::kThreshold;
      for (int64_t pool = 0; pool < kGatePools; ++pool) {
        params.pool = kPools[pool];
        for (size_t tau = 0; tau < kTaus.size(); tau += 3) {
          params.threshold = kTaus[tau];
          SCOPED_TRACE(::testing::Message() << "pool " << pool << " tau " << kTaus[tau]);
          expect_step(c_, rows_, heads[h], h, heads[h].thresholds[p],
                      pool * std::ssize(kTaus) + static_cast<int64_t>(tau), params);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Text, SelectionEffectsTest,
                         ::testing::Values(std::pair{0, 0}, std::pair{3, 0}, std::pair{0, 5}));

TEST(SelectionEffects, EverythingKeptChangesNothing) {
  Case c(0, 0);
  SelectionEffects effects(kTile, c.partitions, default_cpu_impl(), c.pool);
  const EffectRows rows{{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}};
  for (const HeadEffects& head : effects.measure(c.dense_call(), rows, c.directions)) {
    EXPECT_EQ(head.error_rows, kGrid.tokens());
    EXPECT_LT(std::sqrt(head.pooled.error.back() / head.norm), 1e-6);
    EXPECT_LT(std::sqrt(head.top_k[1].error.back() / head.norm), 1e-6);
  }
}

TEST(SelectionEffects, ThreadsDoNotMatter) {
  Case c(2, 0);
  const EffectRows rows{{1, 4}, {1, 2, 4, 6}};
  std::vector<double> errors[2];
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    SelectionEffects effects(kTile, c.partitions, default_cpu_impl(), pool);
    for (const HeadEffects& head : effects.measure(c.dense_call(), rows, c.directions)) {
      for (const LadderSums* sums : {&head.pooled, &head.bsa, &head.thresholds[1]}) {
        errors[threads - 1].insert(errors[threads - 1].end(), sums->error.begin(),
                                   sums->error.end());
        errors[threads - 1].insert(errors[threads - 1].end(), sums->change.begin(),
                                   sums->change.end());
      }
    }
  }
  EXPECT_EQ(errors[0], errors[1]);
}

TEST(SampleTiles, OneOfEachRun) {
  const std::vector<int32_t> tiles = sample_tiles(32, 4, 7);
  ASSERT_EQ(tiles.size(), 4u);
  for (size_t i = 0; i < tiles.size(); ++i) EXPECT_EQ(tiles[i] / 8, static_cast<int32_t>(i));
  EXPECT_EQ(sample_tiles(3, 8, 7), (std::vector<int32_t>{0, 1, 2}));
}

}  // namespace
}  // namespace sparsescope
