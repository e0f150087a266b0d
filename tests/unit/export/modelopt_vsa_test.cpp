#include <gmock/gmock.h>

#include "export/python_literal.h"
#include "export/tile_counts.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Layers with 3 and 1 of 10 tiles; layer 1 dense.
Plan layered_plan() {
  Plan plan = uniform_plan(VsaParams{3});
  plan.dense_layers = {1};
  add_rule(plan, {0, 3}, {2, 2}, {0, 1}, VsaParams{1});
  return plan;
}

TEST(ModelOptVsa, WritesOnePatternPerSparseLayer) {
  const Exported exported = export_plan("modelopt-vsa", layered_plan());
  EXPECT_THAT(exported.changes, IsEmpty());
  const Json expected = parse_json(R"({"sparse_cfg": {
    "*blocks.0.attn1*": {"method": "vsa", "block_size_3d": [4, 4, 4], "top_k_ratio": 0.35,
                         "video_shape": [4, 8, 20], "enable": true},
    "*blocks.2.attn1*": {"method": "vsa", "block_size_3d": [4, 4, 4], "top_k_ratio": 0.15,
                         "video_shape": [4, 8, 20], "enable": true},
    "*.attn2*": {"enable": false},
    "default": {"enable": false}}})",
                                   "expected");
  EXPECT_EQ(parse_json(exported.texts[0], "out"), expected);
  EXPECT_EQ(parse_python(exported.texts[1], "SPARSE_CONFIG", "out.py"), expected);
  EXPECT_THAT(exported.texts[1], HasSubstr("\"enable\": True"));
}

TEST(ModelOptVsa, TheFloorArrivesAtThePlansTiles) {
  // 81 frames of 480x832, 624 tiles; int(0.35 * 624) is what 218 must not become 217 by
  for (const int64_t kept : {1, 63, 218, 623}) {
    const Exported exported =
        export_plan("modelopt-vsa", uniform_plan(VsaParams{kept}, {.grid = {21, 30, 52}}));
    const double ratio = parse_json(exported.texts[0], "out")
                             .at("sparse_cfg")
                             .at("*blocks.0.attn1*")
                             .at("top_k_ratio");
    EXPECT_EQ(kept_by_floor(ratio, 624), kept);
  }
}

TEST(ModelOptVsa, StepsAndHeadsAreMerged) {
  Plan plan = layered_plan();
  plan.dense_steps = {0};
  add_rule(plan, {1, 1}, {0, 0}, {1, 1}, VsaParams{5});
  const Exported exported = export_plan("modelopt-vsa", plan);
  EXPECT_THAT(exported.changes,
              ElementsAre("dense steps 0: count as 10 tiles",
                          "per-head values: top-k 3 to 5 at step 1, layer 0 becomes 5",
                          "per-step values: top-k 3 to 10 (dense) at layer 0 becomes 10 (dense), "
                          "and so the largest at 1 more"));
}

TEST(ModelOptVsa, OtherFamiliesNeedTheNameOfTheModule) {
  Plan plan = layered_plan();
  plan.model.family = "captured";
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "modelopt-vsa", plan), HasSubstr("--module"));
  const Json json = parse_json(
      export_plan("modelopt-vsa", plan, {.module = "layers.{layer}.attn"}).texts[0], "out");
  EXPECT_TRUE(json.at("sparse_cfg").contains("*layers.2.attn*"));
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "modelopt-vsa", plan, {.module = "layers.attn"}),
              HasSubstr("{layer}"));
}

}  // namespace
}  // namespace sparsescope::testing
