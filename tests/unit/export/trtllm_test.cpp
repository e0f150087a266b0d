#include <gmock/gmock.h>

#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

TEST(TensorRtLlm, WritesTheStrictYaml) {
  const Exported exported = export_plan("trtllm", uniform_plan(VsaParams{3}));
  // 1 - 3.25/10: at least 3 tiles by any rounding
  EXPECT_EQ(exported.texts.front(),
            "# TensorRT-LLM VisualGen: --visual_gen_args THIS_FILE\n"
            "attention_config:\n"
            "  backend: TRTLLM\n"
            "  sparse_attention_config:\n"
            "    algorithm: vsa\n"
            "    vsa_sparsity: 0.675\n");
  EXPECT_THAT(exported.remarks,
              ::testing::Contains(HasSubstr("keeps 3 tiles by floor, 4 by ceiling")));
}

TEST(TensorRtLlm, HoldsNoListOfLayers) {
  Plan plan = uniform_plan(VsaParams{3});
  add_rule(plan, {0, 3}, {1, 1}, {0, 1}, VsaParams{4});
  EXPECT_THAT(export_plan("trtllm", plan).changes,
              ::testing::ElementsAre("per-layer values: top-k 3 to 4 becomes 4"));
}

}  // namespace
}  // namespace sparsescope::testing
