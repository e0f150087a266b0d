#include "export/export_format.h"

#include <gmock/gmock.h>

#include <set>

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

}  // namespace
}  // namespace sparsescope::testing
