// Planted orders of recall and error, and a planted head that recall misleads about.
#include "summary/recall_errors.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

// 8 heads in 2 layers; recall rises with the head's number: missed mass falls.
double recall_of(const ProfileSite& site) {
  return 0.1 * static_cast<double>(1 + site.layer * 4 + site.head);
}

Profile profile_with_errors(const std::function<double(const ProfileSite&)>& error_of_site) {
  Profile profile = make_profile({.prompts = 3, .heads = 4});
  add_statistic(profile, "coverage_pooled", fraction_grid().size(),
                [](const ProfileSite& site, size_t) { return recall_of(site); });
  add_statistic(profile, "error_pooled", fraction_grid().size(),
                [&](const ProfileSite& site, size_t) { return error_of_site(site); });
  return profile;
}

TEST(RecallErrors, AgreeWhereErrorFollowsMissedMass) {
  const Profile profile =
      profile_with_errors([](const ProfileSite& site) { return 1 - recall_of(site); });
  const RecallErrors errors = find_recall_errors(profile, {});
  ASSERT_EQ(errors.lines.size(), 1u);
  const RecallErrorLine& line = errors.lines[0];
  EXPECT_EQ(line.method, "VSA");
  EXPECT_EQ(line.setting, "4 of 16 tiles");
  EXPECT_EQ(line.places, 2 * 8);
  EXPECT_NEAR(line.over_all.value, 1, 1e-12);
  EXPECT_NEAR(line.within_layers.value, 1, 1e-12);
  EXPECT_NEAR(line.over_all.interval->low, 1, 1e-9);
  EXPECT_NEAR(line.missed.value, 0.55, 1e-6);
  EXPECT_FALSE(line.error_effect.known()) << "no effects were measured";
}

// Within a layer error grows with recall, between layers it falls.
TEST(RecallErrors, APlantedInversionWithinLayersIsFound) {
  const Profile profile = profile_with_errors([](const ProfileSite& site) {
    return (site.layer == 0 ? 1.0 : 0.5) + 0.01 * static_cast<double>(site.head);
  });
  const RecallErrorLine line = find_recall_errors(profile, {}).lines.at(0);
  EXPECT_NEAR(line.within_layers.value, -1, 1e-12);
  EXPECT_GT(line.over_all.value, 0);
}

TEST(RecallErrors, NameTheHeadThatRecallMisleadsAbout) {
  // Head 3 of layer 1 misses least and has the largest error.
  const Profile profile = profile_with_errors([](const ProfileSite& site) {
    return site.layer == 1 && site.head == 3 ? 5.0 : 1 - recall_of(site);
  });
  const RankedHead worst = find_recall_errors(profile, {}).lines.at(0).heads.at(0);
  EXPECT_EQ(worst.layer, 1);
  EXPECT_EQ(worst.head, 3);
  EXPECT_EQ(worst.missed_rank, 0);
  EXPECT_EQ(worst.error_rank, 1);
}

TEST(RecallErrors, TextKeysAreKept) {
  Profile profile = profile_with_errors([](const ProfileSite&) { return 1.0; });
  add_statistic(profile, "prefix_mass", 1, [](const ProfileSite&, size_t) { return 0.1; });
  const RecallErrorLine line = find_recall_errors(profile, {}).lines.at(0);
  EXPECT_NEAR(line.missed.value, 0.45, 1e-6);
  EXPECT_FALSE(line.over_all.known()) << "equal errors hold no order";
}

TEST(RecallErrors, EffectsAreHeldAgainstBoth) {
  Profile profile =
      profile_with_errors([](const ProfileSite& site) { return 1 - recall_of(site); });
  add_statistic(profile, "effect_pooled", fraction_grid().size(),
                [](const ProfileSite& site, size_t) {
                  // Measured at one step of each prompt alone.
                  return site.step == 0 ? recall_of(site) : std::nan("");
                });
  const RecallErrorLine line = find_recall_errors(profile, {}).lines.at(0);
  EXPECT_NEAR(line.error_effect.value, -1, 1e-12);
  EXPECT_NEAR(line.missed_effect.value, -1, 1e-12);
}

TEST(RecallErrors, NeedErrors) {
  const Profile profile = make_profile({});
  error_of(ErrorKind::kData, [&] { find_recall_errors(profile, {}); });
}

}  // namespace
}  // namespace sparsescope::testing
