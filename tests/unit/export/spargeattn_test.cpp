#include <gmock/gmock.h>

#include "checkpoint/safetensors.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const PlanShape kShape{.steps = 2, .layers = 2, .heads = 2};

// Head 1 of layer 1 alone is sparse, at both steps.
Plan one_sparse_head() {
  Plan plan = make_plan(Method::kVsa, kShape);
  add_rule(plan, {0, 1}, {1, 1}, {1, 1}, VsaParams{3});
  return plan;
}

// Tuned thresholds of layer 1 alone.
std::filesystem::path tuned_file(const TempDir& folder, float cdf, uint8_t sparse = 1) {
  const std::string module = "blocks.1.self_attn.inner_attention.";
  const std::vector<uint8_t> is_sparse = {1, sparse};
  const std::vector<float> cdfs = {0.5f, cdf}, sims = {0.1f, -0.25f}, pvs = {15.0f, 12.5f};
  write_safetensors(folder / "tuned.safetensors",
                    {{module + "is_sparse", Dtype::kBool, {2}, bytes_of(is_sparse)},
                     {module + "cdfthreshd", Dtype::kF32, {2}, bytes_of(cdfs)},
                     {module + "simthreshd1", Dtype::kF32, {2}, bytes_of(sims)},
                     {module + "pvthreshd", Dtype::kF32, {2}, bytes_of(pvs)}},
                    {}, true);
  return folder / "tuned.safetensors";
}

TEST(SpargeAttn, DenseHeadsFromThePlanThresholdsFromTheTuner) {
  const TempDir folder;
  const Plan plan = one_sparse_head();
  const ExportSettings settings{.thresholds = tuned_file(folder, 0.75f)};
  const ExportDraft draft = find_export_format("spargeattn")
                                .draft({.plan = plan,
                                        .settings = settings,
                                        .out = folder / "out.safetensors",
                                        .provenance = Json::object()});
  EXPECT_TRUE(draft.changes.empty());
  draft.files.front().write(folder / "out.safetensors");
  draft.files.front().verify(folder / "out.safetensors");

  const SafetensorsFile file = SafetensorsFile::open(folder / "out.safetensors");
  EXPECT_EQ(file.tensors().size(), 2u * 5);
  const auto values = [&](const std::string& key) { return to_float(file.fetch(key), key); };
  const auto flags = [&](const std::string& key) { return to_int64(file.fetch(key), key); };
  const std::string dense = "blocks.0.self_attn.inner_attention.",
                    sparse = "blocks.1.self_attn.inner_attention.";
  EXPECT_THAT(flags(dense + "is_sparse"), ElementsAre(0, 0));
  EXPECT_THAT(flags(sparse + "is_sparse"), ElementsAre(0, 1));
  EXPECT_THAT(values(dense + "cdfthreshd"), ElementsAre(1, 1));
  EXPECT_THAT(values(sparse + "cdfthreshd"), ElementsAre(1, 0.75f));
  EXPECT_THAT(values(sparse + "simthreshd1"), ElementsAre(1, -0.25f));
  EXPECT_THAT(values(sparse + "simthreshd2"), ElementsAre(0, 0));
  EXPECT_THAT(values(sparse + "pvthreshd"), ElementsAre(20, 12.5f));
}

TEST(SpargeAttn, UnmeasuredThresholdsAreRefused) {
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "spargeattn", one_sparse_head()),
              HasSubstr("--thresholds"));
  const TempDir folder;
  EXPECT_THAT(refusal_of(ErrorKind::kData, "spargeattn", one_sparse_head(),
                         {.thresholds = tuned_file(folder, 1.5f)}),
              HasSubstr("cdfthreshd: head 1: expected a number from 0 to 1, found 1.5"));
  // the tuner's file lacks layer 0
  EXPECT_THAT(refusal_of(ErrorKind::kData, "spargeattn", uniform_plan(VsaParams{3}, kShape),
                         {.thresholds = tuned_file(folder, 0.5f)}),
              HasSubstr("blocks.0.self_attn.inner_attention.is_sparse"));
}

TEST(SpargeAttn, WhatChangesByStepOrByTheTunerBecomesDense) {
  const TempDir folder;
  Plan plan = one_sparse_head();
  add_rule(plan, {1, 1}, {1, 1}, {0, 0}, VsaParams{3});
  EXPECT_THAT(export_plan("spargeattn", plan, {.thresholds = tuned_file(folder, 0.5f)}).changes,
              ElementsAre("layer 1, head 0: dense at 1 of 2 steps, becomes dense"));
  EXPECT_THAT(
      export_plan("spargeattn", one_sparse_head(), {.thresholds = tuned_file(folder, 0.5f, 0)})
          .changes,
      ElementsAre(HasSubstr("head 1 is dense by its tuner")));
}

}  // namespace
}  // namespace sparsescope::testing
