// Heads of known shape: which class each gets, and what changes over the steps.
#include "summary/class_table.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const TileGrid kTiles({16, 16, 16}, {4, 4, 4});  // 4 x 4 x 4 tiles

// Below the quarter of the pairs that one frame holds.
const SummaryOptions kBudget{.budget = 0.2};

// [offset_t, offset_h, offset_w]
using Shape = std::vector<double>;

Shape even() {
  const std::vector<float> masses = even_offset_mass(kTiles);
  return {masses.begin(), masses.end()};
}

// Own place in all frames.
Shape temporal() {
  Shape shape(64, 0.0);
  for (size_t t = 0; t < 4; ++t) shape[t * 16] = 0.25;
  return shape;
}

// Own frame, evenly.
Shape spatial() {
  Shape shape = even();
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = i < 16 ? 4 * shape[i] : 0.0;
  return shape;
}

// shape_of(site): layers of two heads, two prompts, two steps.
Profile profile_of(const std::function<Shape(const ProfileSite&)>& shape_of) {
  Profile profile = make_profile({.grid = {16, 16, 16}, .prompts = 2});
  add_statistic(profile, "offset_mass", 64,
                [&](const ProfileSite& site, size_t i) { return shape_of(site)[i]; });
  add_statistic(profile, "key_mass", 64, [](const ProfileSite&, size_t) { return 1.0 / 64; });
  return profile;
}

TEST(ClassTable, NamesEachHeadsShape) {
  const Profile profile = profile_of([](const ProfileSite& site) {
    if (site.layer == 0) return site.head == 0 ? temporal() : spatial();
    return site.head == 0 ? even() : site.step == 0 ? temporal() : spatial();
  });
  const ClassTable table = find_classes(profile, kBudget);
  ASSERT_EQ(table.heads.size(), 4u);
  EXPECT_EQ(table.heads[0].masses.head_class, HeadClass::kTemporal);
  EXPECT_NEAR(table.heads[0].masses.temporal, 1, 1e-6);
  EXPECT_EQ(table.heads[0].masses.chance, 0.2);
  EXPECT_EQ(table.heads[1].masses.head_class, HeadClass::kSpatial);
  EXPECT_EQ(table.heads[2].masses.head_class, HeadClass::kGlobal);
  EXPECT_THAT(table.heads[3].by_step, ElementsAre(HeadClass::kTemporal, HeadClass::kSpatial));
  EXPECT_DOUBLE_EQ(table.changing, 0.25);
  EXPECT_EQ(table.heads[0].agreeing, 1);

  const auto share = [](const ClassShares& shares, HeadClass head_class) {
    return shares[static_cast<size_t>(head_class)].value;
  };
  EXPECT_DOUBLE_EQ(share(table.shares, HeadClass::kGlobal), 0.25);
  EXPECT_DOUBLE_EQ(share(table.shares_by_step[0], HeadClass::kTemporal), 0.5);
  EXPECT_DOUBLE_EQ(share(table.shares_by_step[1], HeadClass::kTemporal), 0.25);
  EXPECT_EQ(table.counts[static_cast<size_t>(HeadClass::kTemporal)], 1);
}

TEST(ClassTable, SharesVaryWithThePrompt) {
  const Profile profile =
      profile_of([](const ProfileSite& site) { return site.prompt == 0 ? temporal() : spatial(); });
  const ClassTable table = find_classes(profile, kBudget);
  const Measured& share = table.shares[static_cast<size_t>(HeadClass::kTemporal)];
  EXPECT_DOUBLE_EQ(share.value, 0.5);
  EXPECT_EQ(share.interval->low, 0);  // 0 and 1: no interval of two values is tighter
  EXPECT_EQ(share.interval->high, 1);
  EXPECT_LE(table.heads[0].agreeing, 0.5);
}

TEST(ClassTable, RefusesMassesOfOtherTiles) {
  Profile profile = profile_of([](const ProfileSite&) { return even(); });
  profile.tile = {8, 8, 8};
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { find_classes(profile, {}); }),
              HasSubstr("expected 8 values"));
}

}  // namespace
}  // namespace sparsescope::testing
