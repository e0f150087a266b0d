#include <gmock/gmock.h>

#include "export/tile_counts.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(LightX2v, WritesTheAttentionKeysAndWhatThePlanKnowsOfTheRun) {
  Plan plan = uniform_plan(VsaParams{3});
  plan.evidence = {{"sampling",
                    {{"steps", 4},
                     {"guidance", 5.0},
                     {"scheduler", "unipc"},
                     {"shift", 3.0},
                     {"seed", 0},
                     {"grid", {4, 8, 20}}}}};
  const Exported exported = export_plan("lightx2v", plan, {.video = {13, 128, 320}});
  // 640 tokens: 5 blocks of 128; 3 of 10 tiles are 1.5 of them, so 2: 1 - 2.5/5
  EXPECT_EQ(parse_json(exported.texts.front(), "out"), parse_json(R"({
    "infer_steps": 4, "target_video_length": 13, "target_height": 128, "target_width": 320,
    "self_attn_1_type": "general_sparse_attn",
    "general_sparse_attn_setting": {"sparse_mask_generator": "sla_mask_generator",
      "sparse_setting": {"sparsity_ratio": 0.5}, "sparse_operator": "sla_triton_operator"},
    "sample_guide_scale": 5.0, "sample_shift": 3.0, "enable_cfg": true})",
                                                                  "expected"));
  EXPECT_THAT(exported.remarks, Contains(HasSubstr("recall of this geometry is unknown")));
}

TEST(LightX2v, TheFloorTrapIsAvoided) {
  // 100 blocks of 128 tokens; 0.8 would make the consumer keep 19
  const Exported exported =
      export_plan("lightx2v", uniform_plan(VsaParams{40}, {.grid = {8, 40, 40}}));
  const double sparsity = parse_json(exported.texts.front(), "out")
                              .at("general_sparse_attn_setting")
                              .at("sparse_setting")
                              .at("sparsity_ratio");
  EXPECT_EQ(kept_by_floor_of_dropped(sparsity, 100), 20);
}

}  // namespace
}  // namespace sparsescope::testing
