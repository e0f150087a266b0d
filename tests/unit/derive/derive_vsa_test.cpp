// VSA settings worked out by hand. 16 full tiles: the f grid measures K = 1, 2, 3, 4, 6, 8, 12, 16.
// Head 0 covers min(1, K/4), head 1 min(1, K/8): straight between measured K, so that
// interpolation is exact.
#include <gtest/gtest.h>

#include "core/error.h"
#include "derive/derive.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_coverage;
using testing::make_profile;
using testing::options_for;
using testing::ProfileShape;

double linear_coverage(const ProfileSite& site, double kept) {
  return std::min(1.0, kept / (site.head == 0 ? 4.0 : 8.0));
}

int64_t top_k(const Plan& plan, int64_t step, int64_t layer, int64_t head) {
  return std::get<VsaParams>(plan.rule_for(step, layer, head)->params).top_k;
}

TEST(DeriveVsa, LeastTopKPerHead) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.95, Granularity::kHead));

  EXPECT_EQ(top_k(plan, 0, 0, 0), 4);  // 3.8
  EXPECT_EQ(top_k(plan, 1, 1, 1), 8);  // 7.6
  // (4/16 + 8/16) / 2, full recall at both
  EXPECT_DOUBLE_EQ(plan.expected_density->mean, 0.375);
  EXPECT_DOUBLE_EQ(plan.expected_recall->mean, 1.0);
  // The layers share their settings: one rule for each head.
  ASSERT_EQ(plan.rules.size(), 4u);
  EXPECT_EQ(plan.rules[0].steps, (IndexRange{0, 1}));
}

TEST(DeriveVsa, LayerAveragesItsHeads) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.9, Granularity::kLayer));

  // Mean coverage: 0.875 at K = 6, 1 at K = 8: 0.9 at 6.4, so 7, where it is 0.9375.
  ASSERT_EQ(plan.rules.size(), 1u);
  EXPECT_EQ(top_k(plan, 0, 0, 0), 7);
  EXPECT_EQ(plan.rules[0].layers, (IndexRange{0, 1}));
  EXPECT_EQ(plan.rules[0].heads, (IndexRange{0, 1}));
  EXPECT_NEAR(plan.expected_recall->mean, 0.9375, 1e-12);
  EXPECT_NEAR(plan.expected_density->mean, 7.0 / 16, 1e-12);
}

TEST(DeriveVsa, BudgetIsSplitAtACommonRecall) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kDensity, 0.25, Granularity::kHead));

  // Recall level r: K = ceil(4r), ceil(8r) with a sum of at most 8: r up to 0.625 gives 3 and 5.
  EXPECT_EQ(top_k(plan, 0, 0, 0), 3);
  EXPECT_EQ(top_k(plan, 0, 0, 1), 5);
  EXPECT_DOUBLE_EQ(plan.expected_density->mean, 0.25);
  EXPECT_NEAR(plan.expected_recall->mean, (0.75 + 0.625) / 2, 1e-12);
}

TEST(DeriveVsa, DenseSitesCountInTheBudget) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);
  DeriveOptions options = options_for(TargetKind::kDensity, 0.625, Granularity::kModel);
  options.dense_first_steps = 1;

  const Plan plan = derive_plan(profile, options);

  // Half of the calls are dense: 0.5 + 0.5 * K/16 <= 0.625 gives K = 4, covering 1 and 0.5.
  EXPECT_EQ(plan.dense_steps, std::vector<int64_t>{0});
  EXPECT_EQ(plan.rule_for(0, 0, 0), nullptr);
  EXPECT_EQ(top_k(plan, 1, 0, 0), 4);
  EXPECT_DOUBLE_EQ(plan.expected_density->mean, 0.625);
  EXPECT_NEAR(plan.expected_recall->mean, 0.5 + 0.5 * 0.75, 1e-12);
}

TEST(DeriveVsa, BudgetBelowTheLeastSettingsIsRefused) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);
  try {
    derive_plan(profile, options_for(TargetKind::kDensity, 0.05, Granularity::kModel));
    FAIL() << "a density below one tile of 16";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("0.0625"), std::string::npos) << error.what();
  }
}

TEST(DeriveVsa, MoreRecallNeverCostsLess) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);
  for (const Granularity per :
       {Granularity::kModel, Granularity::kLayer, Granularity::kHead, Granularity::kHeadStep}) {
    double density = 0.0;
    for (int percent = 5; percent <= 100; percent += 5) {
      const Plan plan =
          derive_plan(profile, options_for(TargetKind::kRecall, percent / 100.0, per));
      EXPECT_GE(plan.expected_density->mean, density);
      EXPECT_GE(plan.expected_recall->mean, percent / 100.0 - 1e-6);
      density = plan.expected_density->mean;
    }
    EXPECT_LT(density, 1.0);
  }
}

TEST(DeriveVsa, BelowTheFirstMeasuredTopKTheCurveRunsToZero) {
  // 8 x 8 x 2 tiles of 4,4,4 = 128: the least measured K is 2, covering 0.5 here.
  Profile profile = make_profile({.grid = {8, 32, 32}});
  add_coverage(profile, [](const ProfileSite&, double kept) { return std::min(1.0, kept / 4.0); });

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.25, Granularity::kModel));

  EXPECT_EQ(top_k(plan, 0, 0, 0), 1);
  EXPECT_NEAR(plan.expected_recall->mean, 0.25, 1e-12);
}

TEST(DeriveVsa, TextKeysAreAlwaysKept) {
  Profile profile = make_profile({});
  add_coverage(profile, [](const ProfileSite&, double kept) { return 0.6 * kept / 16.0; });
  testing::add_statistic(profile, "prefix_mass", 1, [](const ProfileSite&, size_t) { return 0.4; });

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.7, Granularity::kModel));

  EXPECT_EQ(top_k(plan, 0, 0, 0), 8);  // 0.4 + 0.6 * 8/16 = 0.7
}

TEST(DeriveVsa, StepsOfTheirOwn) {
  Profile profile = make_profile({.steps = 6, .layers = 1, .heads = 1});
  // Recorded: steps 1 and 4. Step 0 goes with 1; 2 with 1; 3 with 4; 5 with 4.
  for (const size_t step : {0, 2, 3, 5}) profile.recorded[step] = 0;
  add_coverage(profile, [](const ProfileSite& site, double kept) {
    return std::min(1.0, kept / (site.step == 1 ? 4.0 : 8.0));
  });

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 1.0, Granularity::kHeadStep));

  ASSERT_EQ(plan.rules.size(), 2u);
  EXPECT_EQ(plan.rules[0].steps, (IndexRange{0, 2}));
  EXPECT_EQ(plan.rules[1].steps, (IndexRange{3, 5}));
  EXPECT_EQ(top_k(plan, 2, 0, 0), 4);
  EXPECT_EQ(top_k(plan, 3, 0, 0), 8);
  EXPECT_DOUBLE_EQ(plan.expected_density->mean, (4.0 + 8.0) / 2 / 16);
}

TEST(DeriveVsa, LayersWithoutRecordsStayDense) {
  Profile profile = make_profile({.steps = 1, .layers = 2, .heads = 1});
  profile.recorded = {0, 1};
  add_coverage(profile, [](const ProfileSite&, double kept) { return std::min(1.0, kept / 4.0); });

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 1.0, Granularity::kLayer));

  EXPECT_EQ(plan.dense_layers, std::vector<int64_t>{0});
  EXPECT_EQ(plan.rule_for(0, 0, 0), nullptr);
  EXPECT_EQ(top_k(plan, 0, 1, 0), 4);
  EXPECT_DOUBLE_EQ(plan.expected_density->mean, (1.0 + 0.25) / 2);
}

TEST(DeriveVsa, WeakFirstStepsAndLayersAreFoundFromTheData) {
  Profile profile = make_profile({.steps = 8, .layers = 8, .heads = 1});
  // Coverage saturates at K = 4, except at step 0 and layer 5, which need all 16 tiles.
  add_coverage(profile, [](const ProfileSite& site, double kept) {
    const bool weak = site.step == 0 || site.layer == 5;
    return std::min(1.0, kept / (weak ? 16.0 : 4.0));
  });
  DeriveOptions options = options_for(TargetKind::kRecall, 0.8, Granularity::kModel);
  options.dense_first_steps.reset();
  options.dense_layers.reset();

  const Plan plan = derive_plan(profile, options);

  EXPECT_EQ(plan.dense_steps, std::vector<int64_t>{0});
  EXPECT_EQ(plan.dense_layers, std::vector<int64_t>{5});
  EXPECT_EQ(top_k(plan, 1, 0, 0), 4);  // 3.2, once the weak ones no longer count
}

TEST(DeriveVsa, NothingIsMadeDenseWhereAllIsAlike) {
  Profile profile = make_profile({.steps = 8, .layers = 8, .heads = 1});
  add_coverage(profile, [](const ProfileSite&, double kept) { return std::min(1.0, kept / 8.0); });
  DeriveOptions options = options_for(TargetKind::kRecall, 0.8, Granularity::kModel);
  options.dense_first_steps.reset();
  options.dense_layers.reset();

  const Plan plan = derive_plan(profile, options);

  EXPECT_TRUE(plan.dense_steps.empty());
  EXPECT_TRUE(plan.dense_layers.empty());
}

TEST(DeriveVsa, IntervalOfANewPrompt) {
  Profile profile = make_profile({.prompts = 3, .steps = 1, .layers = 1, .heads = 1});
  // At K = 8: 0.7, 0.8, 0.9 on the three prompts.
  add_coverage(profile, [](const ProfileSite& site, double kept) {
    return std::min(1.0, kept / 8.0 * (0.7 + 0.1 * static_cast<double>(site.prompt)));
  });

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.8, Granularity::kModel));

  EXPECT_EQ(top_k(plan, 0, 0, 0), 8);
  EXPECT_NEAR(plan.expected_recall->mean, 0.8, 1e-6);
  // s = 0.1, t(0.975, 2) = 4.302653: half = 4.302653 * 0.1 * sqrt(4/3) = 0.496827
  EXPECT_NEAR(plan.expected_recall->low, 0.303173, 1e-5);
  EXPECT_EQ(plan.expected_recall->high, 1.0);  // clipped
  EXPECT_EQ(plan.expected_density->low, 0.5);  // top-k fixes it
  EXPECT_EQ(plan.expected_density->high, 0.5);
}

// Prompts 1 and 4 of five are recorded: everything is as if there were no others.
TEST(DeriveVsa, PromptsThatWereNotRecordedDoNotCount) {
  Profile some = make_profile({.prompts = 5, .steps = 1, .layers = 1, .heads = 1});
  some.recorded = {0, 1, 0, 0, 1};
  add_coverage(some, [](const ProfileSite& site, double kept) {
    return std::min(1.0, kept / 8.0 * (site.prompt == 1 ? 0.7 : 0.9));
  });
  Profile all = make_profile({.prompts = 2, .steps = 1, .layers = 1, .heads = 1});
  add_coverage(all, [](const ProfileSite& site, double kept) {
    return std::min(1.0, kept / 8.0 * (site.prompt == 0 ? 0.7 : 0.9));
  });
  const DeriveOptions options = options_for(TargetKind::kRecall, 0.8, Granularity::kModel);

  const Plan found = derive_plan(some, options), expected = derive_plan(all, options);

  EXPECT_EQ(top_k(found, 0, 0, 0), top_k(expected, 0, 0, 0));
  EXPECT_EQ(found.expected_recall->mean, expected.expected_recall->mean);
  EXPECT_EQ(found.expected_recall->low, expected.expected_recall->low);
  EXPECT_EQ(found.expected_recall->high, expected.expected_recall->high);
  EXPECT_EQ(found.evidence.at("derivation"), expected.evidence.at("derivation"));
  EXPECT_EQ(found.evidence.at("measured_on").at("prompts"), 2);

  some.recorded = {0, 1, 0, 0, 0};
  EXPECT_EQ(derive_plan(some, options).expected_recall->low, 0.0) << "one prompt has no spread";
}

TEST(DeriveVsa, OnePromptSaysNothingAboutTheSpread) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);
  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.7, Granularity::kModel));
  EXPECT_EQ(plan.expected_recall->low, 0.0);
  EXPECT_EQ(plan.expected_recall->high, 1.0);
  EXPECT_NE(plan.evidence.dump().find("one prompt says nothing"), std::string::npos);
}

TEST(DeriveVsa, PlanNamesItsModelAndEvidence) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);
  DeriveOptions options = options_for(TargetKind::kRecall, 0.95, Granularity::kHead);
  options.source = {{"profile", {{"sha256", "12"}}}};

  const Plan plan = derive_plan(profile, options);

  EXPECT_EQ(plan.model.family, "wan");
  EXPECT_EQ(plan.model.head_dim, 64);
  EXPECT_EQ(plan.model.checkpoint_hash, "abc");
  EXPECT_EQ(plan.num_steps, 2);
  EXPECT_EQ(plan.evidence.at("profile").at("sha256"), "12");
  EXPECT_EQ(plan.evidence.at("derivation").at("target"), "recall=0.95");
  // What was derived is a valid plan file.
  EXPECT_NO_THROW(plan_from_json(plan_to_json(plan), "derived"));
}

TEST(DeriveVsa, ProfileWithoutAHeadDimensionIsRefused) {
  Profile profile = make_profile({});
  add_coverage(profile, linear_coverage);
  profile.manifest.erase("head_dim");
  EXPECT_THROW(derive_plan(profile, DeriveOptions{}), Error);
}

TEST(DeriveVsa, NeedsItsStatistic) {
  EXPECT_THROW(derive_plan(make_profile({}), DeriveOptions{}), Error);
}

}  // namespace
}  // namespace sparsescope
