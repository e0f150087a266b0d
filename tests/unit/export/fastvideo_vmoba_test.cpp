#include <gmock/gmock.h>

#include "export/vmoba_config.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

VmobaParams by_count(const char* partition, int64_t top_k) {
  return {.partition = parse_partition(partition), .top_k = top_k};
}

VmobaParams by_tau(const char* partition, double tau) {
  return {.partition = parse_partition(partition),
          .select = VmobaSelect::kThreshold,
          .threshold = tau,
          .pool = VmobaPool::kHeadGlobal};
}

// 1D, 2D, 3D over three layers, grid 4,8,20: 2, 10 and 20 blocks.
Plan cycle_plan() {
  Plan plan = make_plan(Method::kVmoba);
  add_rule(plan, {0, 3}, {0, 0}, {0, 1}, by_count("temporal:2", 2));
  add_rule(plan, {0, 3}, {1, 1}, {0, 1}, by_count("spatial:4,4", 3));
  add_rule(plan, {0, 3}, {2, 2}, {0, 1}, by_count("st:2,4,4", 4));
  return plan;
}

TEST(FastVideoVmoba, WritesThePortableFile) {
  const Exported exported = export_plan("fastvideo-vmoba", cycle_plan());
  const Json json = parse_json(exported.texts.front(), "out");
  const Json keys = parse_json(R"({
    "temporal_chunk_size": 2, "temporal_topk": 2, "spatial_chunk_size": [4, 4], "spatial_topk": 3,
    "st_chunk_size": [2, 4, 4], "st_topk": 4, "moba_select_mode": "topk", "moba_threshold": 0.25,
    "moba_threshold_type": "query_head", "first_full_layer": 0, "first_full_step": 0,
    "temporal_layer": 1, "spatial_layer": 1, "st_layer": 1})",
                               "expected");
  Json top = json;
  top.erase("moba_config");
  top.erase("sparsescope");
  EXPECT_EQ(top, keys);
  EXPECT_EQ(json.at("moba_config"), keys);
  EXPECT_THAT(exported.changes, IsEmpty());
  EXPECT_EQ(export_plan("sglang-vmoba", cycle_plan()).texts, exported.texts);
}

TEST(FastVideoVmoba, APhaseShiftIsFound) {
  Plan plan = make_plan(Method::kVmoba, {.layers = 4});
  add_rule(plan, {0, 3}, {0, 0}, {0, 1}, by_tau("st:2,4,4", 0.5));
  add_rule(plan, {0, 3}, {1, 2}, {0, 1}, by_tau("spatial:4,4", 0.5));
  add_rule(plan, {0, 3}, {3, 3}, {0, 1}, by_tau("st:2,4,4", 0.5));
  const Json json = parse_json(export_plan("fastvideo-vmoba", plan).texts.front(), "out");
  EXPECT_EQ(json.at("temporal_layer"), 0);
  EXPECT_EQ(json.at("spatial_layer"), 2);
  EXPECT_EQ(json.at("st_layer"), 1);
  EXPECT_EQ(json.at("first_full_layer"), 1);
  EXPECT_EQ(json.at("moba_threshold"), 0.5);
  EXPECT_EQ(json.at("moba_threshold_type"), "head_global");
  EXPECT_EQ(json.at("temporal_chunk_size"), 4);  // unused: one block, which any grid allows
}

TEST(FastVideoVmoba, MergedValuesAreTheLargest) {
  Plan plan = cycle_plan();
  add_rule(plan, {1, 1}, {2, 2}, {1, 1}, by_count("st:2,4,4", 9));
  const Exported exported = export_plan("fastvideo-vmoba", plan);
  EXPECT_THAT(exported.changes,
              ElementsAre("per-head values: top-k of st:2,4,4 4 to 9 at step 1, layer 2 becomes 9",
                          "per-step values: top-k of st:2,4,4 4 to 9 at layer 2 becomes 9"));
  EXPECT_EQ(parse_json(exported.texts.front(), "out").at("st_topk"), 9);
}

TEST(FastVideoVmoba, DenseFirstStepsAreNamedAndNotTrusted) {
  Plan plan = cycle_plan();
  plan.dense_steps = {0, 1};
  const Exported exported = export_plan("fastvideo-vmoba", plan);
  EXPECT_THAT(exported.changes, ElementsAre(HasSubstr("dense steps 0-1")));
  EXPECT_THAT(exported.changes.front(), HasSubstr("never read it"));
  EXPECT_EQ(parse_json(exported.texts.front(), "out").at("first_full_step"), 2);
}

TEST(FastVideoVmoba, DenseLayersTakeAllBlocksOfTheirKind) {
  Plan plan = cycle_plan();
  add_rule(plan, {0, 3}, {0, 0}, {0, 1}, by_count("temporal:1", 2));
  plan.dense_layers = {1};
  const Exported exported = export_plan("fastvideo-vmoba", plan);
  // Nothing says which kind layer 1 has: the shortest cycle of the others gives it one.
  const Json json = parse_json(exported.texts.front(), "out");
  EXPECT_EQ(json.at("temporal_layer"), 2);
  EXPECT_EQ(json.at("spatial_layer"), 0);
  EXPECT_EQ(json.at("temporal_topk"), 4);
  EXPECT_EQ(json.at("st_topk"), 4);
  EXPECT_THAT(exported.changes, ElementsAre("per-layer values: top-k of temporal:1 2 to 4 (dense) "
                                            "becomes 4 (dense)"));
}

TEST(FastVideoVmoba, OneBlockAloneWouldFallThroughToDense) {
  const Exported exported =
      export_plan("fastvideo-vmoba", uniform_plan(by_count("spatial:4,4", 1)));
  EXPECT_THAT(exported.changes, ElementsAre(HasSubstr("it becomes 2")));
  EXPECT_EQ(parse_json(exported.texts.front(), "out").at("spatial_topk"), 2);
}

TEST(FastVideoVmoba, RefusesWhatNoProjectionHolds) {
  const auto refuse = [](const Plan& plan) {
    return refusal_of(ErrorKind::kUsage, "fastvideo-vmoba", plan);
  };
  Plan two_sizes = cycle_plan();
  add_rule(two_sizes, {0, 3}, {1, 1}, {0, 1}, by_count("temporal:1", 2));
  EXPECT_THAT(refuse(two_sizes), HasSubstr("per-layer partitions"));

  Plan no_cycle = make_plan(Method::kVmoba, {.layers = 4});
  for (const int64_t layer : {0, 2, 3}) {
    add_rule(no_cycle, {0, 3}, {layer, layer}, {0, 1},
             by_count(layer == 2 ? "spatial:4,4" : "temporal:2", 2));
  }
  add_rule(no_cycle, {0, 3}, {1, 1}, {0, 1}, by_count("st:2,4,4", 2));
  no_cycle.model.layers = 4;
  EXPECT_THAT(refuse(no_cycle), HasSubstr("no cycle of 1D, 2D and 3D"));

  Plan mixed = cycle_plan();
  add_rule(mixed, {0, 3}, {2, 2}, {0, 1}, by_tau("st:2,4,4", 0.5));
  EXPECT_THAT(refuse(mixed), HasSubstr("one mode"));

  Plan dense_layer = uniform_plan(by_tau("st:2,4,4", 0.5));
  dense_layer.dense_layers = {1};
  EXPECT_THAT(refuse(dense_layer), HasSubstr("step 0, layer 1, head 0 is dense"));

  EXPECT_THAT(refuse(uniform_plan(by_tau("st:2,4,4", 1.0))), HasSubstr("tau 1"));
  EXPECT_THAT(refuse(uniform_plan(VsaParams{1})), HasSubstr("the plan's method is vsa"));
}

}  // namespace
}  // namespace sparsescope::testing
