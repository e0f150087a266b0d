#include "export/export_format.h"

#include <gmock/gmock.h>

#include <set>

#include "unit/derive/synthetic_profile.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

TEST(ExportFormats, NamesAreUniqueAndListedInTheRefusal) {
  std::set<std::string> names;
  const std::string message =
      error_of(ErrorKind::kUsage, [] { find_export_format("no-such-format"); });
  for (const ExportFormat& format : export_formats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    EXPECT_THAT(message, HasSubstr(format.name));
    EXPECT_FALSE(format.facts.empty());
  }
}

TEST(ExportFormats, WhatIsMissingIsNamed) {
  const Plan plan = uniform_plan(VsaParams{3});
  EXPECT_THAT(refusal_of(ErrorKind::kUnsupported, "modelopt-skip-softmax", plan),
              HasSubstr("no tile-skip counts"));
  EXPECT_THAT(refusal_of(ErrorKind::kUnsupported, "block-lists", plan),
              HasSubstr("attend --save-plan"));
}

// Baselines choose tiles as no engine does.
TEST(ExportFormats, OnlyPooledChoicesOfTilesLeave) {
  const PlanShape shape{.grid = {4, 16, 16}, .steps = 2, .layers = 2, .heads = 2};
  Profile profile = make_profile({});
  add_statistic(profile, "coverage_row", fraction_grid().size(),
                [](const ProfileSite&, size_t i) { return fraction_grid()[i]; });
  for (const char* format : {"fastvideo-vsa", "fastvideo-vsa-h3", "sglang-vsa", "sglang-cube",
                             "trtllm", "modelopt-vsa", "lightx2v", "svoo"}) {
    for (const TileChoice choice : {TileChoice::kRandom, TileChoice::kOracle}) {
      Plan plan = uniform_plan(VsaParams{3}, shape);
      add_rule(plan, {1, 1}, {1, 1}, {1, 1}, VsaParams{.top_k = 3, .choice = choice});
      const std::string message = refusal_of(ErrorKind::kUsage, format, plan, {}, &profile);
      EXPECT_THAT(message, HasSubstr(format));
      EXPECT_THAT(message, HasSubstr("choice " + to_string(choice)));
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
