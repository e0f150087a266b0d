#include <gmock/gmock.h>

#include <cmath>

#include "export/svoo_csv.h"
#include "unit/derive/synthetic_profile.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const PlanShape kShape{.grid = {4, 16, 16}, .steps = 2, .layers = 2, .heads = 2};

// 16 tiles; a straight line of mass over the kept tiles that reaches 1 at `full` of them.
Profile line_profile(const std::function<double(const ProfileSite&)>& full, int64_t branches = 1) {
  Profile profile = make_profile({.prompts = 2, .branches = branches});
  add_statistic(profile, "coverage_row", fraction_grid().size(),
                [&](const ProfileSite& site, size_t i) {
                  const auto kept = static_cast<double>(kept_count(fraction_grid()[i], 16));
                  return std::min(1.0, kept / full(site));
                });
  return profile;
}

TEST(Svoo, WritesTheShareThatCovers95PercentAndOneWhereThePlanIsDense) {
  // 8 tiles hold all: 0.95 of the mass is 0.95 of 0.5
  const Profile profile = line_profile([](const ProfileSite&) { return 8.0; });
  Plan plan = uniform_plan(VsaParams{4}, kShape);
  plan.dense_layers = {1};
  const Exported exported = export_plan("svoo", plan, {}, &profile);
  EXPECT_EQ(exported.texts.front(),
            "Step,Layer,Head,Sparsity\r\n"
            "1,0,0,0.4750\r\n1,0,1,0.4750\r\n1,1,0,1.0000\r\n1,1,1,1.0000\r\n"
            "2,0,0,0.4750\r\n2,0,1,0.4750\r\n2,1,0,1.0000\r\n2,1,1,1.0000\r\n");
  EXPECT_THAT(exported.remarks, Contains(HasSubstr("tile-level")));
  EXPECT_THAT(exported.remarks, Contains(HasSubstr("at 4 sites it keeps less")));
}

TEST(Svoo, TakesTheLargestOverPromptsAndBranches) {
  const Profile profile = line_profile(
      [](const ProfileSite& site) { return site.prompt == 1 && site.branch == 1 ? 12.0 : 4.0; }, 2);
  const SvooTable table = parse_svoo_csv(
      export_plan("svoo", uniform_plan(VsaParams{4}, kShape), {}, &profile).texts.front(), "out");
  for (const double kept : table.kept) EXPECT_NEAR(kept, 0.95 * 12 / 16, 1e-4);
}

TEST(Svoo, AMissingStatisticIsAnError) {
  const Plan plan = uniform_plan(VsaParams{4}, kShape);
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "svoo", plan), HasSubstr("--profile"));
  const Profile empty = make_profile({});
  EXPECT_THAT(refusal_of(ErrorKind::kData, "svoo", plan, {}, &empty), HasSubstr("coverage_row"));
  Profile partial = line_profile([](const ProfileSite&) { return 8.0; });
  for (int64_t prompt = 0; prompt < 2; ++prompt) {
    partial.recorded[static_cast<size_t>((prompt * 2 + 1) * 2 + 0)] = 0;  // step 1, layer 0
  }
  EXPECT_THAT(refusal_of(ErrorKind::kData, "svoo", plan, {}, &partial),
              HasSubstr("recorded nothing at step 1, layer 0"));
}

TEST(SvooCsv, RoundsUpToFourDecimals) {
  EXPECT_EQ(to_svoo_csv({1, 1, 4, {0.07, 0.33334, 1.0, 0.0}}),
            "Step,Layer,Head,Sparsity\r\n1,0,0,0.0700\r\n1,0,1,0.3334\r\n1,0,2,1.0000\r\n"
            "1,0,3,0.0000\r\n");
}

TEST(SvooCsv, ReadsRowsInAnyOrderAndLf) {
  const SvooTable table =
      parse_svoo_csv("Step,Layer,Head,Sparsity\n2,0,0,0.5\n1,0,0,0.25\n", "x.csv");
  EXPECT_EQ(table.steps, 2);
  EXPECT_THAT(table.kept, ::testing::ElementsAre(0.25, 0.5));
}

TEST(SvooCsv, RefusesWhatIsNotOneRowPerSite) {
  const std::string header = "Step,Layer,Head,Sparsity\n";
  const struct {
    std::string text;
    const char* message;
  } cases[] = {{"Step,Layer,Head\n1,0,0\n", "line 1"},
               {header, "rows below the header"},
               {header + "1,0,0,0.5\n0,0,0,0.5\n", "line 3"},
               {header + "1,0,0,1.5\n", "line 2"},
               {header + "1,0,0,nan\n", "line 2"},
               {header + "1,0,0,0.5,1\n", "line 2"},
               {header + "1,0,0\n", "line 2"},
               {header + "1,0,0,0.5\n2,1,0,0.5\n", "expected a value for each"},
               {header + "1,0,0,0.5\n1,0,0,0.5\n1,0,1,0.5\n2,0,0,0.5\n",
                "step 2, layer 0, head 1 is missing"},
               {header + "1,0,0,0.5\n1,0,1,0.5\n1,0,1,0.5\n",
                "line 4: step 1, layer 0, head 1 stands twice"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(error_of(ErrorKind::kData, [&, t = text] { parse_svoo_csv(t, "x.csv"); }),
                HasSubstr(message))
        << text;
  }
}

TEST(SvooLog, TakesTheLargestOfSeveralPromptsAndSelfAttentionAlone) {
  const SvooTable table = parse_svoo_log(
      "loading\n"
      "[Sparsity] Layer 0 | Type: self | Step: 1 | Threshold: 95.00% | Avg Sparsity: 0.3 | n=64\n"
      "  Head  0: Sparsity=0.2500\n  Head  1: Sparsity=0.5000\n"
      "[Sparsity] Layer 0 | Type: cross | Step: 1 | Threshold: 95.00%\n  Head  0: Sparsity=1.0000\n"
      "[Sparsity] Layer 0 | Type: self | Step: 2 | Threshold: 95.00%\r\n"
      "  Head  0: Sparsity=0.1000\r\n  Head  1: Sparsity=0.2000\r\n"
      "[Sparsity] Layer 0 | Type: self | Step: 1 | Threshold: 95.00%\n"
      "  Head  0: Sparsity=0.3000\n  Head  1: Sparsity=0.4000\n",
      "x.txt");
  EXPECT_EQ(table.steps, 2);
  EXPECT_EQ(table.layers, 1);
  EXPECT_EQ(table.heads, 2);
  EXPECT_THAT(table.kept, ::testing::ElementsAre(0.3, 0.5, 0.1, 0.2));
}

TEST(SvooLog, NamesTheLineOrTheSiteThatIsMissing) {
  const std::string header = "[Sparsity] Layer 0 | Type: self | Step: 1 | Avg\n";
  const struct {
    std::string text;
    const char* message;
  } cases[] = {{"", "found none"},
               {"  Head  0: Sparsity=0.5\n", "line 1"},
               {header + "  Head  0: Sparsity=1.5\n", "line 2"},
               {header + "  Head  x: Sparsity=0.5\n", "line 2"},
               {"[Sparsity] Layer 0 | Type: self | Step: 0 | Avg\n", "line 1"},
               {header + "  Head  1: Sparsity=0.5\n", "expected a value for each"},
               {header + "  Head 1: Sparsity=0.5\n" + header + "  Head 1: Sparsity=0.5\n",
                "step 1, layer 0, head 0 is missing"}};
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(error_of(ErrorKind::kData, [&, t = text] { parse_svoo_log(t, "x.txt"); }),
                HasSubstr(message))
        << text;
  }
}

}  // namespace
}  // namespace sparsescope::testing
