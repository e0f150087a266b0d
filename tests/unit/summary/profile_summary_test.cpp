// The whole summary: what is told, what is not and why, and its JSON.
#include "summary/profile_summary.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "summary/summary_json.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"
#include "unit/stats/example_profile.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

TEST(Summary, TellsWhatAProfileHoldsAndNamesTheRest) {
  Profile profile = example_profile();  // without errors
  for (const char* name : {"offset_mass", "window_cosine"}) profile.arrays.erase(name);
  const ProfileSummary summary = summarize_profile(profile, {});
  EXPECT_TRUE(summary.key_facts && summary.key_sets && summary.map_sets);
  EXPECT_TRUE(summary.score_premise && summary.query_premise);
  EXPECT_FALSE(summary.partitions.empty());
  std::vector<std::string> missing;
  for (const MissingFinding& one : summary.missing) missing.push_back(one.finding);
  EXPECT_THAT(missing,
              UnorderedElementsAre("head_classes", "query_premise.windows", "recall_errors"));
  EXPECT_THAT(summary.missing[0].reason, HasSubstr("offset_mass"));

  const Json json = summary_to_json(summary, profile, "run.h5");
  EXPECT_EQ(json.at("format"), "sparsescope-summary");
  EXPECT_EQ(json.at("profile").at("grid"), "2,3,5");
  EXPECT_EQ(json.at("profile").at("steps"), Json({0, 2}));
  EXPECT_FALSE(json.at("findings").contains("head_classes"));
  const Json& facts = json.at("findings").at("key_facts").at("facts");
  EXPECT_EQ(facts.at(0).at("mean").at("mean"), 2.5);
  EXPECT_TRUE(facts.at(0).at("mean").at("low").is_null()) << "one prompt has no interval";
}

TEST(Summary, OfAProfileOfEffectsAloneSaysWhy) {
  Profile profile = make_profile({});
  const ProfileSummary summary = summarize_profile(profile, {});
  EXPECT_FALSE(summary.key_facts || summary.key_sets || summary.score_premise);
  EXPECT_EQ(summary.missing.size(), 8u);
  EXPECT_THAT(summary.missing[0].reason, HasSubstr("--effects-only"));
}

TEST(Summary, RefusesOptionsAndProfilesWithoutMeaning) {
  const Profile profile = example_profile();
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { summarize_profile(profile, {.budget = 1}); }),
              HasSubstr("--budget"));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { summarize_profile(profile, {.confidence = 0}); }),
              HasSubstr("--confidence"));
  Profile empty = make_profile({});
  empty.recorded.assign(empty.recorded.size(), 0);
  error_of(ErrorKind::kData, [&] { summarize_profile(empty, {}); });
}

}  // namespace
}  // namespace sparsescope::testing
