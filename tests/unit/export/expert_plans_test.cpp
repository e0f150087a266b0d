// A plan of two experts in formats that configure each transformer by itself, and in the others.
#include "export/expert_plans.h"

#include <gmock/gmock.h>

#include "export/run_export.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// 3 of 10 tiles at the first three steps, 5 at the last one; step 0 dense.
Plan expert_plan() {
  Plan plan = uniform_plan(VsaParams{3});
  add_rule(plan, {3, 3}, {0, 2}, {0, 1}, VsaParams{5});
  plan.model.low_noise_from_step = 3;
  return plan;
}

TEST(ExpertPlans, HoldTheStepsOfOneExpert) {
  Plan plan = expert_plan();
  plan.dense_steps = {0, 3};
  const Plan high = plan_of_expert(plan, 0), low = plan_of_expert(plan, 1);
  EXPECT_EQ(high.num_steps, 3);
  EXPECT_EQ(low.num_steps, 1);
  EXPECT_THAT(high.dense_steps, ElementsAre(0));
  EXPECT_THAT(low.dense_steps, ElementsAre(0));
  for (const Plan* own : {&high, &low}) {
    EXPECT_FALSE(own->model.low_noise_from_step);
    plan_from_json(plan_to_json(*own), "plan");  // within its own bounds
  }
  plan.dense_steps.clear();
  for (int64_t step = 0; step < 4; ++step) {
    const Plan own = plan_of_expert(plan, step < 3 ? 0 : 1);
    EXPECT_EQ(own.rule_for(step < 3 ? step : 0, 1, 1)->params, plan.rule_for(step, 1, 1)->params);
  }
}

TEST(ExpertPlans, NeedStepsOfBoth) {
  Plan plan = expert_plan();
  EXPECT_TRUE(runs_two_experts(plan));
  for (const std::optional<int64_t> step :
       {std::optional<int64_t>(), std::optional<int64_t>(0), std::optional<int64_t>(4)}) {
    plan.model.low_noise_from_step = step;
    EXPECT_FALSE(runs_two_experts(plan));
  }
}

class ExpertExport : public ::testing::Test {
 protected:
  ExportRequest request(const Plan& plan, const std::string& format, const std::string& out) {
    write_plan(folder_ / "plan.json", plan, true);
    return {.plan = folder_ / "plan.json", .out = folder_ / out, .format = format};
  }
  Json patterns(const std::string& name) { return read_json_file(folder_ / name).at("sparse_cfg"); }
  TempDir folder_;
};

TEST_F(ExpertExport, OneFileOfEachTransformer) {
  const ExportResult result = run_export(request(expert_plan(), "modelopt-vsa", "vsa.json"));
  EXPECT_THAT(result.files,
              ElementsAre(folder_ / "vsa.transformer.json", folder_ / "vsa.transformer.py",
                          folder_ / "vsa.transformer_2.json", folder_ / "vsa.transformer_2.py",
                          folder_ / "vsa.json.provenance.json"));
  EXPECT_THAT(result.changes, IsEmpty());
  EXPECT_EQ(patterns("vsa.transformer.json").at("*blocks.0.attn1*").at("top_k_ratio"), 0.35);
  EXPECT_EQ(patterns("vsa.transformer_2.json").at("*blocks.0.attn1*").at("top_k_ratio"), 0.55);
  EXPECT_EQ(read_json_file(folder_ / "vsa.json.provenance.json").at("files").size(), 4u);
}

TEST_F(ExpertExport, WhatChangesIsNamedWithItsTransformer) {
  Plan plan = expert_plan();
  plan.dense_steps = {0};
  const std::string refusal =
      error_of(ErrorKind::kUsage, [&] { run_export(request(plan, "modelopt-vsa", "vsa.json")); });
  EXPECT_THAT(refusal, AllOf(HasSubstr("transformer: dense steps 0"),
                             ::testing::Not(HasSubstr("transformer_2:"))));
}

TEST_F(ExpertExport, ThresholdsAreThoseOfEachTransformer) {
  ExportRequest wanted = request(expert_plan(), "spargeattn", "tuned.safetensors");
  wanted.settings.thresholds = folder_ / "tuner.safetensors";
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { run_export(wanted); }),
              HasSubstr("tuner.transformer.safetensors"));
}

TEST_F(ExpertExport, OneNumberForAllStepsIsRefusedAndProjected) {
  ExportRequest wanted = request(expert_plan(), "sglang-vsa", "vsa.json");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { run_export(wanted); }),
              HasSubstr("per-step values: top-k 3 to 5"));
  wanted.project = true;
  EXPECT_EQ(run_export(wanted).files.front(), folder_ / "vsa.json");
}

TEST_F(ExpertExport, AFormatByStepHoldsBoth) {
  const ExportResult result = run_export(request(expert_plan(), "sglang-cube", "cube.json"));
  EXPECT_EQ(result.files.front(), folder_ / "cube.json");
  EXPECT_THAT(result.changes, IsEmpty());
}

}  // namespace
}  // namespace sparsescope::testing
