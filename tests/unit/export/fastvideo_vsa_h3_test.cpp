#include <gmock/gmock.h>

#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FastVideoVsaH3, FlagsAndArguments) {
  Plan plan = uniform_plan(VsaParams{3});
  plan.model.family = "captured";
  plan.dense_steps = {0, 1};
  plan.dense_layers = {2};
  const Exported exported = export_plan("fastvideo-vsa-h3", plan);
  EXPECT_THAT(exported.changes, IsEmpty());
  ASSERT_EQ(exported.texts.size(), 2u);
  EXPECT_EQ(exported.texts[0],
            "# environment, then flags of FastVideo\n"
            "FASTVIDEO_ATTENTION_BACKEND=VIDEO_SPARSE_ATTN_H3\n"
            "--VSA-sparsity 0.75\n"
            "--VSA-tile-size 64\n");
  EXPECT_EQ(exported.texts[1],
            "# generator.generate_video(prompt, **VSA_ARGUMENTS)\n"
            "VSA_ARGUMENTS = {\n"
            "    \"vsa_mode\": \"exempt\",\n"
            "    \"vsa_dense_first_n_steps\": 2,\n"
            "    \"vsa_dense_layers\": [\n"
            "        2\n"
            "    ]\n"
            "}\n");
}

TEST(FastVideoVsaH3, LargeTiles) {
  const Exported exported = export_plan(
      "fastvideo-vsa-h3", uniform_plan(VsaParams{1}, {.grid = {8, 16, 16}, .tile = {4, 8, 8}}));
  EXPECT_THAT(exported.texts[0], HasSubstr("--VSA-sparsity 0.9375\n--VSA-tile-size 256\n"));
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "fastvideo-vsa-h3",
                         uniform_plan(VsaParams{1}, {.tile = {2, 2, 2}})),
              HasSubstr("4,4,4 or 4,8,8, found 2,2,2"));
}

TEST(FastVideoVsaH3, ADenseStepThatIsNoPrefixIsMerged) {
  Plan plan = uniform_plan(VsaParams{3});
  plan.dense_steps = {0, 2};
  const Exported exported = export_plan("fastvideo-vsa-h3", plan);
  EXPECT_THAT(exported.changes,
              ElementsAre(HasSubstr("per-step values: top-k 3 to 10 (dense) at layer 0")));
  EXPECT_THAT(exported.texts[0], HasSubstr("--VSA-sparsity 0.0\n"));
  EXPECT_THAT(exported.texts[1], HasSubstr("\"vsa_dense_first_n_steps\": 1"));
}

TEST(FastVideoVsaH3, APlanThatIsDenseEverywhere) {
  Plan plan = make_plan(Method::kVsa);
  const Exported exported = export_plan("fastvideo-vsa-h3", plan);
  EXPECT_THAT(exported.changes, IsEmpty());
  EXPECT_THAT(exported.texts[1], HasSubstr("\"vsa_dense_first_n_steps\": 4"));
}

}  // namespace
}  // namespace sparsescope::testing
