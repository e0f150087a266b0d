// What a cost measurement runs; no time is judged.
#include "sparse/cost_measurement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "plan/cost_lines.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

const TokenGrid kGrid{4, 8, 8};
const TileShape kTile{2, 4, 4};  // 8 tiles
const std::array kMethods{Method::kVsa, Method::kBsa, Method::kVmoba};
const std::vector<Partition> kPartitions{parse_partition("temporal:1"),
                                         parse_partition("st:2,4,4")};

size_t num_kinds(const std::vector<MethodParams>& settings) {
  std::vector<MethodParams> kinds;
  for (const MethodParams& params : settings) {
    const bool known = std::any_of(kinds.begin(), kinds.end(), [&](const MethodParams& kind) {
      return same_kind(kind, params);
    });
    if (!known) kinds.push_back(params);
  }
  return kinds.size();
}

TEST(CostMeasurement, SettingsCoverEveryKindThatAPlanMayTake) {
  // VSA; BSA with half and all queries; VMoBA's top-k and pools, for each partition.
  EXPECT_EQ(num_kinds(cost_settings(kMethods, kGrid, kTile, kPartitions, false)), 1u + 2 + 2 * 3);
  EXPECT_EQ(num_kinds(cost_settings(kMethods, kGrid, kTile, kPartitions, true)), 1u + 2 + 2 * 5);
  EXPECT_EQ(num_kinds(cost_settings({}, kGrid, kTile, kPartitions, true)), 0u);
  // 1/16 and 1/8 of 8 tiles are the same one.
  const std::array vsa{Method::kVsa};
  EXPECT_EQ(cost_settings(vsa, kGrid, kTile, {}, true).size(), 4u);
}

TEST(CostMeasurement, EverySettingIsAPointOfItsSeries) {
  const testing::Qkv inputs = testing::random_qkv(1, 2, kGrid.tokens(), 16, 3);
  std::vector<float> out;
  const AttentionCall call = testing::make_call(inputs, kGrid, out);
  const std::vector<MethodParams> settings =
      cost_settings(kMethods, kGrid, kTile, kPartitions, true);
  ThreadPool pool(1);

  KernelCosts costs = measure_costs(call, kTile, settings, 2, Impl::kReference, pool, {});

  size_t points = 0;
  for (const CostSeries& series : costs.series) {
    points += series.points.size();
    for (const CostPoint& point : series.points) {
      EXPECT_GT(point.density, 0.0);
      EXPECT_LE(point.density, 1.0);
    }
  }
  EXPECT_EQ(points, settings.size());
  EXPECT_EQ(costs.series.front().points[0].density, 1.0 / 8);
  EXPECT_EQ(costs.series.front().points.back().density, 6.0 / 8);
  EXPECT_EQ(costs.heads, 2);
  EXPECT_EQ(costs.head_dim, 16);
  EXPECT_EQ(costs.dtype, "fp32");
  for (const MethodParams& params : settings) CostLines(costs).of(params);

  costs.machine = {{"cpu", "any"}, {"kernels", "reference"}};
  EXPECT_EQ(costs_to_json(costs_from_json(costs_to_json(costs), "costs")), costs_to_json(costs));
}

TEST(CostMeasurement, StopsWhereItIsAskedTo) {
  const testing::Qkv inputs = testing::random_qkv(1, 1, kGrid.tokens(), 16, 3);
  std::vector<float> out;
  const AttentionCall call = testing::make_call(inputs, kGrid, out);
  ThreadPool pool(1);
  const RunMonitor stop{.progress = {}, .note = {}, .stop_requested = [] { return true; }};
  const std::array settings{MethodParams(VsaParams{})};
  EXPECT_THROW(measure_costs(call, kTile, settings, 1, Impl::kReference, pool, stop), Error);
}

}  // namespace
}  // namespace sparsescope
