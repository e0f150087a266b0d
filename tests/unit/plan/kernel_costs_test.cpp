// Costs files: round trips, refusals, and lines whose numbers are known by hand.
#include "plan/kernel_costs.h"

#include <gtest/gtest.h>

#include <functional>

#include "plan/cost_lines.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

// 100 ms dense, so that milliseconds are percent.
KernelCosts example() {
  KernelCosts costs{.heads = 3, .head_dim = 64, .grid = {8, 16, 16}, .tile = {4, 4, 4}};
  costs.dtype = "fp32";
  costs.machine = {{"cpu", "some"}, {"kernels", "cpu-avx2"}, {"cores", 2}};
  costs.dense_ms = 100.0;
  // selection 5, kernel 2 + 90 d
  costs.series.push_back({VsaParams{}, {{0.25, 5, 24.5, 0}, {0.5, 5, 47, 0}, {1.0, 5, 92, 0}}});
  costs.series.push_back({BsaParams{.query_keep = 0.5}, {{0.1, 10, 10, 0}, {0.4, 10, 40, 0}}});
  costs.series.push_back({BsaParams{.query_keep = 1.0}, {{0.2, 4, 20, 0}, {0.8, 4, 80, 0}}});
  costs.series.push_back({VmobaParams{.partition = parse_partition("st:4,4,4"),
                                      .select = VmobaSelect::kThreshold,
                                      .pool = VmobaPool::kHeadGlobal},
                          {{0.5, 20, 60, 8}}});
  return costs;
}

TEST(KernelCosts, AFileHoldsAllOfThem) {
  const KernelCosts costs = example();
  const Json json = costs_to_json(costs);
  const KernelCosts again = costs_from_json(json, "file");
  EXPECT_EQ(costs_to_json(again), json);
  EXPECT_EQ(again.grid, costs.grid);
  ASSERT_EQ(again.series.size(), 4u);
  EXPECT_TRUE(same_kind(again.series[3].kind, costs.series[3].kind));
  EXPECT_EQ(again.series[3].points[0].spread_ms, 8);
}

TEST(KernelCosts, WhatDoesNotFitIsRefused) {
  const std::pair<const char*, std::function<void(Json&)>> cases[] = {
      {"/format", [](Json& j) { j["format"] = "sparsescope-plan"; }},
      {"/extra", [](Json& j) { j["extra"] = 1; }},
      {"/dense_ms", [](Json& j) { j["dense_ms"] = 0; }},
      {"/machine", [](Json& j) { j["machine"].erase("cpu"); }},
      {"/shape/grid",
       [](Json& j) {
         j["shape"]["grid"] = {8, 16};
       }},
      {"/series/0/points", [](Json& j) { j["series"][0]["points"] = Json::array(); }},
      {"/series/0/points/1/density", [](Json& j) { j["series"][0]["points"][1]["density"] = 1.5; }},
      {"/series/2", [](Json& j) { j["series"][2] = j["series"][1]; }},
      {"/series/0/method", [](Json& j) { j["series"][0]["method"] = "dense"; }},
      {"/series/3/partition", [](Json& j) { j["series"][3]["partition"] = "st:3,4,4"; }},
      {"/series/3/pool", [](Json& j) { j["series"][3]["pool"] = "all"; }},
  };
  for (const auto& [place, damage] : cases) {
    Json json = costs_to_json(example());
    damage(json);
    EXPECT_THAT(error_of(ErrorKind::kData, [&] { costs_from_json(json, "file"); }),
                HasSubstr(place));
  }
  Json json = costs_to_json(example());
  json["version"] = 2;
  EXPECT_THAT(error_of(ErrorKind::kUnsupported, [&] { costs_from_json(json, "file"); }),
              HasSubstr("version"));
}

TEST(CostLines, PointsOnALineGiveTheLine) {
  const CostLine line = CostLines(example()).of(VsaParams{.top_k = 7});
  EXPECT_NEAR(line.selection, 0.05, 1e-12);
  EXPECT_NEAR(line.selection_slope, 0.0, 1e-12);
  EXPECT_NEAR(line.kernel, 0.02, 1e-12);
  EXPECT_NEAR(line.kernel_slope, 0.9, 1e-12);
  EXPECT_NEAR(line.spread, 0.0, 1e-12);
  EXPECT_NEAR(line.at(0.5), 0.52, 1e-12);
  // 0.07 + 0.9 = 0.97: faster at any density
  EXPECT_EQ(line.crossover(), 1.0);
}

TEST(CostLines, SpreadIsTheWorstPointOrHalfOfItsQuartiles) {
  KernelCosts costs = example();
  costs.series[0].points = {{0.0, 0, 10, 0}, {0.5, 0, 58, 0}, {1.0, 0, 100, 0}};
  // Least squares by hand: slope 0.9, mean 0.56 at 0.5; residuals -0.01, 0.02, -0.01.
  CostLine line = CostLines(costs).of(VsaParams{});
  EXPECT_NEAR(line.at(0.5), 0.56, 1e-12);
  EXPECT_NEAR(line.spread, 0.02, 1e-12);
  EXPECT_NEAR(line.crossover(), (1.0 - 0.02 - 0.11) / 0.9, 1e-12);
  EXPECT_TRUE(line.pays_at(line.crossover() - 1e-9));
  EXPECT_FALSE(line.pays_at(line.crossover() + 1e-9));

  costs.series[0].points[0].spread_ms = 12;
  line = CostLines(costs).of(VsaParams{});
  EXPECT_NEAR(line.spread, 0.06, 1e-12);
}

TEST(CostLines, OneDensityMeansProportionalKernels) {
  const CostLine line = CostLines(example()).of(example().series[3].kind);
  EXPECT_NEAR(line.at(0.5), 0.8, 1e-12);
  EXPECT_NEAR(line.at(0.25), 0.2 + 0.3, 1e-12);
  EXPECT_NEAR(line.spread, 0.04, 1e-12);
  EXPECT_NEAR(line.crossover(), (1.0 - 0.04 - 0.2) / 1.2, 1e-12);
}

TEST(CostLines, CostsNeverFallWithTheDensity) {
  KernelCosts costs = example();
  costs.series[0].points = {{0.25, 0, 120, 0}, {0.75, 0, 100, 0}};
  const CostLine line = CostLines(costs).of(VsaParams{});
  EXPECT_EQ(line.at(0.1), line.at(0.9));
  EXPECT_EQ(line.crossover(), 0.0);
}

TEST(CostLines, BsaIsInterpolatedInItsQueries) {
  const CostLines lines(example());
  // half of the queries: 0.1 + d; all: 0.04 + d
  EXPECT_NEAR(lines.of(BsaParams{.query_keep = 0.75}).at(0.3), 0.07 + 0.3, 1e-12);
  EXPECT_NEAR(lines.of(BsaParams{.query_keep = 0.25}).at(0.3), 0.1 + 0.3, 1e-12);
}

TEST(CostLines, WhatWasNotMeasuredIsRefused) {
  const CostLines lines(example());
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [&] { lines.of(VmobaParams{.partition = parse_partition("st:4,4,4")}); }),
              HasSubstr("vmoba st:4,4,4 topk query_head"));
  EXPECT_THAT(
      error_of(ErrorKind::kUsage, [&] { lines.of(VsaParams{.choice = TileChoice::kOracle}); }),
      HasSubstr("row_oracle"));
}

TEST(CostLines, ScalingScalesTimes) {
  const CostLine line = CostLines(scaled(example(), 2.0)).of(VsaParams{});
  EXPECT_NEAR(line.at(0.5), 1.04, 1e-12);
}

}  // namespace
}  // namespace sparsescope
