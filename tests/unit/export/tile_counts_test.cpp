// Consumers' rounding against the table of FastVideo's K (IEEE double, 8 grids x 9 sparsities) and
// its float traps; chosen fractions against every count of many grids.
#include "export/tile_counts.h"

#include <gtest/gtest.h>

namespace sparsescope::testing {
namespace {

constexpr int64_t kTiles[] = {256, 364, 455, 624, 768, 1200, 1440, 2400};

TEST(TileCounts, CeilingOfTheKeptFractionIsTheTableOfFastVideo) {
  const struct {
    double sparsity;
    int64_t kept[8];
  } rows[] = {
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
  for (const auto& row : rows) {
    for (size_t i = 0; i < std::size(kTiles); ++i) {
      EXPECT_EQ(kept_by_ceil(row.sparsity, kTiles[i]), row.kept[i])
          << row.sparsity << " of " << kTiles[i];
    }
  }
}

TEST(TileCounts, CountsStayBetweenOneAndAll) {
  EXPECT_EQ(kept_by_ceil(1.0, 455), 1);
  EXPECT_EQ(kept_by_ceil(0.0, 455), 455);
  EXPECT_EQ(kept_by_floor(0.001, 455), 1);
  EXPECT_EQ(kept_by_floor(1.0, 455), 455);
  EXPECT_EQ(kept_by_floor_f32(0.001, 455), 1);
  EXPECT_EQ(kept_by_floor_f32(1.0, 455), 455);
  EXPECT_EQ(kept_by_floor_of_dropped(1.0, 455), 1);
  EXPECT_EQ(kept_by_floor_of_dropped(0.0, 455), 455);
}

TEST(TileCounts, FloorOfADroppedFractionLosesABlock) {
  EXPECT_EQ(kept_by_floor_of_dropped(0.8, 100), 19);  // 1 - 0.8 is slightly low in binary
}

TEST(TileCounts, ChosenFractionsArriveAtTheCount) {
  for (const int64_t n : {1, 2, 3, 10, 64, 100, 624, 1200, 2400, 100003}) {
    const int64_t stride = n > 3000 ? 997 : 1;
    for (int64_t kept = 1; kept <= n; kept += stride) {
      EXPECT_EQ(kept_by_ceil(dropped_for_ceil(kept, n), n), kept) << kept << " of " << n;
      EXPECT_EQ(kept_by_floor(ratio_for_floor(kept, n), n), kept) << kept << " of " << n;
      EXPECT_EQ(kept_by_floor_f32(ratio_for_floor(kept, n), n), kept) << kept << " of " << n;
      EXPECT_EQ(kept_by_floor_of_dropped(dropped_for_floor(kept, n), n), kept);
      const double any = dropped_for_any_rounding(kept, n);
      EXPECT_EQ(kept_by_floor_of_dropped(any, n), kept);
      EXPECT_LE(kept_by_ceil(any, n), kept + 1);
      EXPECT_GE(kept_by_ceil(any, n), kept);
    }
  }
}

TEST(TileCounts, FractionsStandHalfATileInside) {
  EXPECT_DOUBLE_EQ(dropped_for_ceil(60, 1200), 1.0 - 59.5 / 1200);
  EXPECT_DOUBLE_EQ(ratio_for_floor(60, 1200), 60.5 / 1200);
  EXPECT_EQ(dropped_for_ceil(1200, 1200), 0.0);
  EXPECT_EQ(ratio_for_floor(1200, 1200), 1.0);
}

}  // namespace
}  // namespace sparsescope::testing
