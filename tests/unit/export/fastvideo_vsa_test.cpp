#include <gmock/gmock.h>

#include "export/flat_yaml.h"
#include "export/tile_counts.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

double sparsity_of(const Exported& exported) {
  return parse_flat_yaml(exported.texts.front(), "out")
      .at("/generator/pipeline/experimental/VSA_sparsity"_json_pointer);
}

TEST(FastVideoVsa, WritesTheYamlOfGenerate) {
  const Exported exported = export_plan(
      "fastvideo-vsa", uniform_plan(VsaParams{3}),
      {.video = {13, 128, 320}, .model_path = "FastVideo/FastWan2.1-T2V-1.3B-Diffusers"});
  // 3 of 10 tiles: 1 - 2.5/10
  EXPECT_EQ(
      exported.texts.front(),
      "# FASTVIDEO_ATTENTION_BACKEND=VIDEO_SPARSE_ATTN fastvideo generate --config THIS_FILE\n"
      "# or on the command line: --VSA-sparsity with the number below\n"
      "generator:\n"
      "  model_path: \"FastVideo/FastWan2.1-T2V-1.3B-Diffusers\"\n"
      "  pipeline:\n"
      "    experimental:\n"
      "      VSA_sparsity: 0.75\n"
      "request:\n"
      "  sampling:\n"
      "    num_frames: 13\n"
      "    height: 128\n"
      "    width: 320\n"
      "    num_inference_steps: 4\n");
  EXPECT_THAT(exported.changes, IsEmpty());
  EXPECT_THAT(exported.remarks.front(),
              HasSubstr("top-k 3 of 10 tiles: sparsity 0.7000 of padded slots, 0.7000 of real"));
}

TEST(FastVideoVsa, RaggedGridsCountPartialTiles) {
  // 81 frames of 480x832: grid 21,30,52 has 6*8*13 = 624 tiles, 32,760 tokens.
  const Exported exported =
      export_plan("fastvideo-vsa", uniform_plan(VsaParams{63}, {.grid = {21, 30, 52}}));
  EXPECT_EQ(kept_by_ceil(sparsity_of(exported), 624), 63);
  EXPECT_THAT(exported.remarks.front(),  // 63/624, and 63*64 of 32,760 tokens
              HasSubstr("sparsity 0.8990 of padded slots, 0.8769 of real tokens"));
}

TEST(FastVideoVsa, TheTrapOfSparsity95IsAvoided) {
  // 1200 tiles: 0.95 would make the consumer keep 61
  const Exported exported =
      export_plan("fastvideo-vsa", uniform_plan(VsaParams{60}, {.grid = {40, 48, 40}}));
  EXPECT_EQ(kept_by_ceil(sparsity_of(exported), 1200), 60);
}

TEST(FastVideoVsa, NamesWhatIsLostAndKeepsTheLargest) {
  Plan plan = uniform_plan(VsaParams{2});
  add_rule(plan, {0, 3}, {1, 1}, {1, 1}, VsaParams{5});
  add_rule(plan, {2, 2}, {0, 2}, {0, 1}, VsaParams{7});
  const Exported exported = export_plan("fastvideo-vsa", plan);
  EXPECT_THAT(
      exported.changes,
      ElementsAre(
          "per-head values: top-k 2 to 5 at step 0, layer 1 becomes 5, and so the largest "
          "at 2 more",
          "per-step values: top-k 2 to 7 at layer 0 becomes 7, and so the largest at 2 more"));
  EXPECT_EQ(kept_by_ceil(sparsity_of(exported), 10), 7);
}

TEST(FastVideoVsa, DenseSitesCountAsAllTiles) {
  Plan plan = uniform_plan(VsaParams{2});
  plan.dense_steps = {0, 1};
  plan.dense_layers = {2};
  const Exported exported = export_plan("fastvideo-vsa", plan);
  EXPECT_EQ(exported.changes.at(0), "dense steps 0-1: count as 10 tiles");
  EXPECT_EQ(exported.changes.at(1), "dense layers 2: count as 10 tiles");
  EXPECT_EQ(sparsity_of(exported), 0.0);
  EXPECT_THAT(exported.remarks, ::testing::Contains(HasSubstr("nothing is sparse any more")));
}

TEST(FastVideoVsa, RefusesOtherMethodsTilesAndSizes) {
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "fastvideo-vsa", uniform_plan(BsaParams{})),
              HasSubstr("holds VSA settings, the plan's method is bsa"));
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "fastvideo-vsa",
                         uniform_plan(VsaParams{1}, {.tile = {2, 4, 4}})),
              HasSubstr("expected a plan of tiles 4,4,4, found 2,4,4"));
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "fastvideo-vsa", uniform_plan(VsaParams{1}),
                         {.video = {13, 128, 300}}),
              HasSubstr("--video"));
}

}  // namespace
}  // namespace sparsescope::testing
