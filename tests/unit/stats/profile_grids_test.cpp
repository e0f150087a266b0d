// The grids that the statistics share, and K(f) against the published table of kept tiles.
#include <gtest/gtest.h>

#include "core/error.h"
#include "stats/profile.h"

namespace sparsescope {
namespace {

TEST(ProfileGrids, FractionsAreTheContracts) {
  const std::vector<double> expected = {0.015625, 0.03125, 0.046875, 0.0625, 0.09375, 0.125,
                                        0.1875,   0.25,    0.375,    0.5,    0.75,    1.0};
  EXPECT_EQ(fraction_grid(), expected);
}

TEST(ProfileGrids, TauRunsInTwentieths) {
  ASSERT_EQ(tau_grid().size(), 19u);
  EXPECT_EQ(tau_grid().front(), 0.05);
  EXPECT_EQ(tau_grid()[2], 0.15);
  EXPECT_EQ(tau_grid().back(), 0.95);
}

// K = ceil((1 - sparsity) * N) in double arithmetic, with its quirk: 1 - 0.7 is a little more than
// 0.3, which pushes exact products up by one tile.
TEST(KeptCount, MatchesTheTableOfKeptTiles) {
  const std::vector<int64_t> tiles = {256, 364, 455, 624, 768, 1200, 1440, 2400};
  const std::vector<std::pair<double, std::vector<int64_t>>> table = {
      {0.5, {128, 182, 228, 312, 384, 600, 720, 1200}},
      {0.6, {103, 146, 182, 250, 308, 480, 576, 960}},
      {0.7, {77, 110, 137, 188, 231, 361, 433, 721}},
      {0.8, {52, 73, 91, 125, 154, 240, 288, 480}},
      {0.85, {39, 55, 69, 94, 116, 181, 217, 361}},
      {0.875, {32, 46, 57, 78, 96, 150, 180, 300}},
      {0.9, {26, 37, 46, 63, 77, 120, 144, 240}},
      {0.95, {13, 19, 23, 32, 39, 61, 73, 121}},
      {0.97, {8, 11, 14, 19, 24, 37, 44, 73}},
  };
  for (const auto& [sparsity, kept] : table) {
    for (size_t i = 0; i < tiles.size(); ++i) {
      EXPECT_EQ(kept_count(1 - sparsity, tiles[i]), kept[i]) << sparsity << " of " << tiles[i];
    }
  }
}

TEST(KeptCount, StaysBetweenOneAndAll) {
  EXPECT_EQ(kept_count(0.0, 7), 1);
  EXPECT_EQ(kept_count(1.0 / 64, 1), 1);
  EXPECT_EQ(kept_count(1.0, 7), 7);
  EXPECT_EQ(kept_count(1.0 / 64, 64), 1);
  EXPECT_EQ(kept_count(1.0 / 64, 65), 2);
}

TEST(KeptCount, RefusesFractionsOutsideTheUnitInterval) {
  EXPECT_THROW(kept_count(-0.1, 4), Error);
  EXPECT_THROW(kept_count(1.5, 4), Error);
}

TEST(Profile, FindsTheValuesOfASite) {
  Profile profile;
  profile.prompts = 1;
  profile.branches = 2;
  profile.steps = 3;
  profile.layers = 2;
  profile.heads = 2;
  ProfileArray array;
  array.shape = {1, 2, 3, 2, 2, 2};
  for (int i = 0; i < 48; ++i) array.values.push_back(static_cast<float>(i));
  profile.arrays["x"] = array;

  // branch 1, step 2, layer 0, head 1: ((1 * 3 + 2) * 2 + 0) * 2 + 1 = 21
  EXPECT_EQ(profile.trailing("x"), 2);
  EXPECT_EQ(profile.at("x", 0, 1, 2, 0, 1)[0], 42.0f);
  EXPECT_EQ(profile.at("x", 0, 1, 2, 0, 1)[1], 43.0f);
  EXPECT_THROW(profile.at("y", 0, 0, 0, 0, 0), Error);
}

}  // namespace
}  // namespace sparsescope
