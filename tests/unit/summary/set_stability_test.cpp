// Sets that are equal, disjoint, or drawn at random: what overlap and chance say of them.
#include "summary/set_stability.h"

#include <gmock/gmock.h>

#include <limits>

#include "core/error.h"
#include "core/rng.h"
#include "stats/chance.h"
#include "stats/profile_store.h"
#include "stats/tile_sets.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;

const SetOverlap& line_of(const SetStability& stability, const std::string& between, int64_t kept) {
  const auto found = std::find_if(
      stability.overlaps.begin(), stability.overlaps.end(),
      [&](const SetOverlap& line) { return line.between == between && line.kept == kept; });
  EXPECT_NE(found, stability.overlaps.end()) << between << " " << kept;
  return *found;
}

TEST(TileSets, ByHand) {
  const std::vector<float> masses{0.1f, 0.4f, 0.1f, 0.3f, 0.1f};
  const TileSet two = heaviest_tiles(masses, 2), three = heaviest_tiles(masses, 3);
  EXPECT_THAT(two, ElementsAre(0b01010));
  EXPECT_THAT(three, ElementsAre(0b01011)) << "of equal masses the first";
  EXPECT_DOUBLE_EQ(jaccard(two, three), 2.0 / 3);
  EXPECT_EQ(jaccard(heaviest_tiles(masses, 0), heaviest_tiles(masses, 0)), 1);
  EXPECT_EQ(heaviest_tiles(std::vector<float>(130, 1.0f), 130).back(), 3u);
}

TEST(SetStability, RandomSetsOverlapByChance) {
  Profile profile =
      make_profile({.prompts = 4, .branches = 2, .steps = 8, .layers = 4, .heads = 4});
  uint64_t draws = 0;
  add_statistic(profile, "key_mass", 16,
                [&](const ProfileSite&, size_t) { return uniform(11, draws++); });
  const SetStability stability = find_set_stability(profile, SetSource::kKeyMass, {});
  for (const char* between : {"steps", "prompts", "branches"}) {
    const SetOverlap& line = line_of(stability, between, 4);
    EXPECT_DOUBLE_EQ(line.chance, expected_jaccard(16, 4, 4));
    EXPECT_NEAR(line.excess.value, 0, 0.03) << between;
    ASSERT_TRUE(line.excess.interval) << between;
    EXPECT_LT(line.excess.interval->low, 0.02);
    EXPECT_GT(line.excess.interval->high, -0.02);
  }
  EXPECT_EQ(line_of(stability, "steps", 4).pairs, 4 * 2 * 7 * 4);
  EXPECT_EQ(line_of(stability, "prompts", 4).pairs, 6 * 2 * 8 * 4);
  EXPECT_EQ(line_of(stability, "branches", 4).pairs, 4 * 8 * 4);
}

// Two steps with disjoint sets, the same in all prompts and branches; layer 1 does not change.
TEST(SetStability, PlantedSetsAreFound) {
  Profile profile = make_profile({.prompts = 3, .branches = 2, .steps = 3});
  add_statistic(profile, "key_mass", 16, [](const ProfileSite& site, size_t i) {
    const size_t first = site.layer == 0 && site.step == 1 ? 8 : 0;
    return i >= first && i < first + 4 ? 0.25 : 0.0;
  });
  const SetStability stability = find_set_stability(profile, SetSource::kKeyMass, {});
  const SetOverlap& steps = line_of(stability, "steps", 4);
  EXPECT_DOUBLE_EQ(steps.jaccard.value, 0.5);
  EXPECT_DOUBLE_EQ(steps.by_layer[0].value, 0);
  EXPECT_DOUBLE_EQ(steps.by_layer[1].value, 1);
  EXPECT_DOUBLE_EQ(line_of(stability, "prompts", 4).excess.value, 1);
  EXPECT_DOUBLE_EQ(line_of(stability, "branches", 4).jaccard.value, 1);
  EXPECT_THAT(stability.steps, ElementsAre(0, 1, 2));
  EXPECT_THAT(stability.between_steps, ElementsAre(1, 0.5, 1, 0.5, 1, 0.5, 1, 0.5, 1));
}

TEST(SetStability, OneOfAKindIsNotCompared) {
  Profile profile = make_profile({.prompts = 1, .branches = 1, .steps = 1});
  add_statistic(profile, "key_mass", 16,
                [](const ProfileSite&, size_t i) { return static_cast<double>(i); });
  EXPECT_TRUE(find_set_stability(profile, SetSource::kKeyMass, {}).overlaps.empty());
}

// Two tiles of 12 and 4 tokens: the first query tile's set moves, the second one's stays.
TEST(SetStability, MapsWeighQueryTilesByTheirTokens) {
  Profile profile = make_profile({.grid = {1, 4, 4}, .steps = 2, .layers = 1, .heads = 1});
  profile.tile = {1, 4, 3};
  profile.maps[map_name(0, 0, 0, 0)] = {0.9f, 0.1f, 0.2f, 0.8f};
  profile.maps[map_name(0, 0, 1, 0)] = {0.1f, 0.9f, 0.2f, 0.8f};
  const SetStability stability = find_set_stability(profile, SetSource::kMaps, {});
  const SetOverlap& line = line_of(stability, "steps", 1);
  EXPECT_DOUBLE_EQ(line.jaccard.value, 0.25);
  EXPECT_DOUBLE_EQ(line.chance, 0.5);
  EXPECT_DOUBLE_EQ(line.excess.value, -0.5);
}

// A map of some heads holds NaN for the others: they are left out, not the call.
TEST(SetStability, HeadsThatAMapWasNotKeptOfAreLeftOut) {
  Profile profile = make_profile({.grid = {1, 4, 4}, .steps = 2, .layers = 1, .heads = 2});
  profile.tile = {1, 4, 2};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  profile.maps[map_name(0, 0, 0, 0)] = {nan, nan, nan, nan, 0.9f, 0.1f, 0.2f, 0.8f};
  profile.maps[map_name(0, 0, 1, 0)] = {nan, nan, nan, nan, 0.1f, 0.9f, 0.2f, 0.8f};
  EXPECT_DOUBLE_EQ(
      line_of(find_set_stability(profile, SetSource::kMaps, {}), "steps", 1).jaccard.value, 0.5);
}

TEST(SetStability, NeedsSets) {
  const Profile profile = make_profile({});
  error_of(ErrorKind::kData, [&] { find_set_stability(profile, SetSource::kMaps, {}); });
}

}  // namespace
}  // namespace sparsescope::testing
