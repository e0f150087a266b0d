#include <gmock/gmock.h>

#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(SglangVsa, OneNumber) {
  EXPECT_EQ(export_plan("sglang-vsa", uniform_plan(VsaParams{3})).texts.front(),
            "{\n  \"sparsity\": 0.75\n}\n");
}

TEST(SglangCube, ARatioPerStep) {
  Plan plan = uniform_plan(VsaParams{3});
  plan.dense_steps = {0};
  add_rule(plan, {3, 3}, {0, 2}, {0, 1}, VsaParams{1});
  const Exported exported = export_plan("sglang-cube", plan);
  EXPECT_THAT(exported.changes, IsEmpty());
  const Json json = parse_json(exported.texts.front(), "out");
  EXPECT_EQ(json, parse_json(R"({"local_cube_size": [4, 4, 4],
                                 "topk_ratio_list": [1.0, 0.35, 0.35, 0.15]})",
                             "expected"));
  EXPECT_THAT(exported.remarks, ::testing::Contains(HasSubstr("num_inference_steps is 5")));
}

TEST(SglangCube, LayersAndHeadsAreMerged) {
  Plan plan = uniform_plan(VsaParams{3});
  add_rule(plan, {1, 1}, {2, 2}, {1, 1}, VsaParams{6});
  plan.dense_layers = {0};
  const Exported exported = export_plan("sglang-cube", plan);
  EXPECT_THAT(exported.changes,
              ElementsAre("dense layers 0: count as 10 tiles",
                          "per-head values: top-k 3 to 6 at step 1, layer 2 becomes 6",
                          HasSubstr("per-layer values: top-k 3 to 10 (dense) at step 0")));
  EXPECT_EQ(parse_json(exported.texts.front(), "out").at("topk_ratio_list"),
            Json::array({1.0, 1.0, 1.0, 1.0}));
}

}  // namespace
}  // namespace sparsescope::testing
