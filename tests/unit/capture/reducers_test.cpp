// The reducers by hand, the law that merged halves are the whole, and the sampling of rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "capture/call_layout.h"
#include "capture/gaussian_cut.h"
#include "capture/query_columns.h"
#include "capture/reducers/axis_pairs.h"
#include "capture/reducers/cosine_histogram.h"
#include "capture/reducers/mean_curve.h"
#include "capture/row_group_reducer.h"
#include "capture/site_arrays.h"
#include "kernels/kernel_table.h"
#include "support/expect_error.h"
#include "unit/capture/naive_statistics.h"
#include "unit/capture/recorded_call.h"

namespace sparsescope {
namespace {

TEST(MeanCurve, WeighsAndMerges) {
  MeanCurve curve(2), other(2);
  curve.add(std::array{3.0, 1.0}, 1.0);
  other.add(std::array{1.0, 5.0}, 3.0);
  curve.merge(other);
  EXPECT_EQ(curve.means(), (std::vector{1.0, 1.5}));
}

TEST(AxisPairs, FoldsDistances) {
  AxisPairs pairs(3);
  pairs.add(0, std::array{0.5, 0.25, 0.25}, 1.0);
  pairs.add(2, std::array{0.25, 0.25, 0.5}, 1.0);
  const std::vector<double> distances = pairs.by_distance();
  EXPECT_EQ(distances, (std::vector{0.5, 0.25, 0.25}));
  EXPECT_EQ(pairs.by_pair()[2], 0.25);  // from frame 0 to frame 2
}

TEST(CosineHistogram, BinsAndFloors) {
  CosineHistogram histogram;
  histogram.add(1.0, 1.0, 1.0);   // cosine 1: the last bin
  histogram.add(-2.0, 1.0, 2.0);  // cosine -1: the first
  histogram.add(0.0, 0.0, 0.0);   // no direction: cosine 0
  histogram.add(0.49, 1.0, 1.0);  // floor(1.49 * 32) = 47
  EXPECT_EQ(histogram.counts()[63], 1);
  EXPECT_EQ(histogram.counts()[0], 1);
  EXPECT_EQ(histogram.counts()[32], 1);
  EXPECT_EQ(histogram.counts()[47], 1);
}

TEST(GaussianCut, MatchesTables) {
  EXPECT_NEAR(gaussian_cut(0.5), 0.0, 1e-15);
  EXPECT_NEAR(gaussian_cut(0.25), 0.6744897501960817, 1e-14);
  EXPECT_NEAR(gaussian_cut(1.0 / 64), 2.1538746940614564, 1e-13);
  EXPECT_EQ(gaussian_cut(1.0), -std::numeric_limits<double>::infinity());
}

TEST(SampledRows, StandForTheirTiles) {
  const CallLayout layout = make_call_layout({{5, 6, 7}, 2, 0}, {4, 4, 4}, {}, 3, 17);
  int64_t chosen = 0;
  for (const TileRows& tile : layout.rows.tiles) {
    float weight = 0.0f;
    int64_t rows = 0;
    for (int32_t row = tile.first; row < tile.first + tile.count; ++row) {
      weight += layout.sample_weight[row];
      rows += layout.sample_weight[row] > 0.0f ? 1 : 0;
    }
    EXPECT_NEAR(weight, static_cast<float>(tile.count), 1e-4);
    EXPECT_LE(rows, 3);
    chosen += rows;
  }
  EXPECT_GT(chosen, 2 * layout.num_tiles);
  const CallLayout again = make_call_layout({{5, 6, 7}, 2, 0}, {4, 4, 4}, {}, 3, 17);
  const CallLayout other = make_call_layout({{5, 6, 7}, 2, 0}, {4, 4, 4}, {}, 3, 18);
  EXPECT_EQ(layout.sample_weight, again.sample_weight);
  EXPECT_NE(layout.sample_weight, other.sample_weight);
}

TEST(SampledRows, ChangeOnlyWhatTheyMay) {
  const auto call = naive::make_call({5, 6, 7}, {4, 4, 4}, 0, 0, 1, 8, 3);
  const std::vector<Partition> partitions{parse_partition("temporal:2")};
  const auto all = naive::record(call, partitions, Impl::kReference, 1);
  const auto some = naive::record(call, partitions, Impl::kReference, 1, 3);
  for (const auto& [name, array] : all.arrays) {
    const bool sampled = name == "coverage_row" || name.find("recall") != std::string::npos;
    if (sampled && name != "bsa_recall") {
      EXPECT_NE(some.arrays.at(name).values, array.values) << name;
      EXPECT_NEAR(some.arrays.at(name).values.back(), array.values.back(), 0.1) << name;
    } else {
      EXPECT_EQ(some.arrays.at(name).values, array.values) << name;
    }
  }
}

// Gates that are computed at each reading lead to the same cuts and rows as those that are kept.
TEST(GateSelection, DoesNotDependOnTheBudget) {
  const auto call = naive::make_call({5, 6, 7}, {2, 4, 4}, 1, 0, 2, 8, 3);
  ThreadPool pool(2);
  std::vector<float> out;
  const AttentionCall attention = naive::attention_call(call, out);
  const CallLayout layout =
      make_call_layout({call.grid, 1, 0}, call.tile,
                       {parse_partition("spatial:3,7"), parse_partition("temporal:2")}, 0, 0);
  const RowStatsKernels& kernels = row_stats_kernels(default_cpu_impl());
  const KeyMeans means = compute_key_means(attention.k, layout, kernels, pool);
  const auto kept = find_gate_cuts(attention.q, layout, means, kernels, pool);
  const auto anew = find_gate_cuts(attention.q, layout, means, kernels, pool, 0);
  EXPECT_EQ(anew.limits, kept.limits);
  EXPECT_EQ(anew.orders, kept.orders);
  std::vector<float> columns(8 * kRowLanes), unused, scratch;
  for (int64_t block = 0; block < layout.num_video_blocks; ++block) {
    const RowBlock& rows = layout.rows.blocks[block];
    load_columns(attention.q, 0, 1, &layout.rows.order[rows.first], rows.count, kernels,
                 columns.data());
    const GateRows a = kept.store->read_rows(1, block, columns.data(), unused);
    const GateRows b = anew.store->read_rows(1, block, columns.data(), scratch);
    for (int64_t c = 0; c < layout.partition_blocks; ++c) {
      for (int64_t lane = 0; lane < kRowLanes; ++lane) {
        ASSERT_EQ(a.gate[c * a.stride + lane], b.gate[c * b.stride + lane]);
      }
    }
    EXPECT_TRUE(std::equal(a.own, a.own + rows.count, b.own));
  }
}

// Groups dealt to two reducers, and the sums merged.
// Ranks of more blocks than one number holds are refused, not wrapped.
TEST(CallLayout, RefusesPartitionsOfTooManyBlocks) {
  const Partition partition{.kind = PartitionKind::kSpatioTemporal, .block = {1, 1, 1}};
  const auto layout = [&](const TokenGrid& grid) {
    return make_call_layout({grid, 0, 0}, {4, 4, 4}, {partition}, 0, 0);
  };
  EXPECT_NO_THROW(layout({1, 127, 129}));  // 16,383
  EXPECT_EQ(testing::error_of(ErrorKind::kUsage,
                              [&] {
                                layout({1, 128, 128});
                              }),
            "partition st:1,1,1: expected at most 16383 blocks on grid 1,128,128, found 16384");
}

TEST(RowGroupReducer, MergedHalvesAreTheWhole) {
  const auto call = naive::make_call({5, 6, 7}, {2, 4, 4}, 1, 0, 2, 8, 3);
  const std::vector<Partition> partitions{parse_partition("spatial:3,7")};
  const auto whole = naive::record(call, partitions, Impl::kReference, 1);

  ThreadPool pool(1);
  std::vector<float> out;
  const AttentionCall attention = naive::attention_call(call, out);
  const CallLayout layout = make_call_layout({call.grid, 1, 0}, call.tile, partitions, 0, 0);
  const RowStatsKernels& kernels = row_stats_kernels(Impl::kReference);
  const KeyMeans means = compute_key_means(attention.k, layout, kernels, pool);
  const auto cuts = find_gate_cuts(attention.q, layout, means, kernels, pool);
  const ReductionContext context{layout, attention.q, attention.scale, means, cuts, kernels};
  std::vector<RowGroupReducer> halves(2, RowGroupReducer(context));
  DenseAttentionParams params{.q = attention.q, .k = attention.k, .v = attention.v};
  params.scale = attention.scale;
  params.out = attention.out;
  params.cells = &layout.cells;
  params.rows = &layout.rows;
  params.sink = {
      &halves, [](void* target, int, const RowGroupMasses& masses) {
        (*static_cast<std::vector<RowGroupReducer>*>(target))[masses.group % 2].add(masses);
      }};
  attention_kernels(Impl::kReference).dense(params, pool);
  std::vector<HeadSums> merged(2, HeadSums(layout));
  for (RowGroupReducer& half : halves) {
    half.finish();
    for (size_t h = 0; h < merged.size(); ++h) merged[h].merge(half.heads()[h]);
  }
  for (const StatArray& array : make_site_arrays(merged, layout)) {
    const StatArray& expected = whole.arrays.at(array.name);
    ASSERT_EQ(array.values.size(), expected.values.size()) << array.name;
    for (size_t i = 0; i < array.values.size(); ++i) {
      EXPECT_NEAR(array.values[i], expected.values[i], 1e-9) << array.name << " at " << i;
    }
  }
}

}  // namespace
}  // namespace sparsescope
