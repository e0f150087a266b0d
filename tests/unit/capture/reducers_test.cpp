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
#include "capture/reducers/offset_mass.h"
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

TEST(OffsetMass, FoldsOffsets) {
  const TileGrid tiles({1, 2, 6}, {1, 1, 2});  // 1 x 2 x 3 tiles
  OffsetMass whole(tiles), other(tiles);
  whole.add(1, std::array{0.25, 0.0, 0.125, 0.5, 0.0, 0.125}, 1.0);  // from the middle above
  other.add(3, std::array{0.0, 0.5, 0.0, 0.25, 0.0, 0.25}, 1.0);     // from the left below
  whole.merge(other);
  EXPECT_EQ(whole.means(), (std::vector{0.125, 0.1875, 0.125, 0.0, 0.5625, 0.0}));
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

// One row of each run, in the row order; the same rows from the same seed.
TEST(SampledRows, AreStratified) {
  const CallShape shape{{5, 6, 7}, 2, 0};
  const CallLayout layout = make_call_layout(shape, {4, 4, 4}, {}, 3, 17);
  const SampledRows& sampled = layout.sampled;
  EXPECT_FALSE(sampled.all);
  ASSERT_EQ(sampled.size(), 210 * 3 / 64);
  int32_t next = 0, number = 0;
  for (const RowBlock& block : layout.rows.blocks) {
    for (int32_t row = 0; row < block.count && number < sampled.size(); ++row, ++next) {
      if (layout.rows.order[next] != sampled.token[number]) continue;
      EXPECT_EQ(next * sampled.size() / 210, number) << "run of the row";
      EXPECT_EQ(sampled.lane[number], row);
      ++number;
    }
    const auto idx = static_cast<size_t>(&block - layout.rows.blocks.data()) + 1;
    if (idx < sampled.first.size()) {
      EXPECT_EQ(sampled.first[idx], number);
    }
  }
  EXPECT_EQ(number, sampled.size());
  EXPECT_EQ(sampled.token, make_call_layout(shape, {4, 4, 4}, {}, 3, 17).sampled.token);
  EXPECT_NE(sampled.token, make_call_layout(shape, {4, 4, 4}, {}, 3, 18).sampled.token);
}

TEST(SampledRows, AreAllRowsWhereATileHasNoMore) {
  const CallLayout layout = make_call_layout({{5, 6, 7}, 2, 0}, {4, 4, 4}, {}, 64, 17);
  EXPECT_TRUE(layout.sampled.all);
  EXPECT_EQ(layout.sampled.token,
            std::vector(layout.rows.order.begin(), layout.rows.order.begin() + 210));
  EXPECT_EQ(std::ssize(layout.sampled.blocks), layout.num_video_blocks);
}

// Everything else is measured on all rows whatever is sampled.
TEST(SampledRows, ChangeOnlyWhatTheyMay) {
  const auto call = naive::make_call({5, 6, 7}, {4, 4, 4}, 0, 0, 1, 8, 3);
  const std::vector<Partition> partitions{parse_partition("temporal:2")};
  const auto all = naive::record(call, partitions, Impl::kReference, 1);
  const auto some = naive::record(call, partitions, Impl::kReference, 1, 20);
  for (const auto& [name, array] : all.arrays) {
    const std::vector<double>& values = some.arrays.at(name).values;
    if (name == "coverage_row" || name.find("_topk") != std::string::npos ||
        name.find("_tau") != std::string::npos) {
      EXPECT_NE(values, array.values) << name;
      for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], array.values[i], 0.1);
    } else {
      EXPECT_EQ(values, array.values) << name;
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
    const RowBlock& rows = layout.sampled.blocks[block];
    load_columns(attention.q, 0, 1, &layout.sampled.token[rows.first], rows.count, kernels,
                 columns.data());
    const GateRows a = kept.store->read_block(1, block, columns.data(), unused);
    const GateRows b = anew.store->read_block(1, block, columns.data(), scratch);
    for (int64_t c = 0; c < layout.partition_blocks; ++c) {
      for (int64_t lane = 0; lane < kRowLanes; ++lane) {
        ASSERT_EQ(a.gate[c * a.stride + lane], b.gate[c * b.stride + lane]);
      }
    }
    EXPECT_TRUE(std::equal(a.own, a.own + rows.count, b.own));
  }
}

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

// Groups dealt to two reducers, and the sums merged.
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
  std::vector<RowGroupReducer> halves;
  for (int half = 0; half < 2; ++half) halves.emplace_back(context);
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
