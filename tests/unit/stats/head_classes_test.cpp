// Heads drawn by hand on a grid of 4 x 4 x 4 tiles of one token: the share of pairs within r tiles
// along an axis is 4/16 at r = 0, 10/16 at 1, 14/16 at 2, 1 at 3.
#include "stats/head_classes.h"

#include <gmock/gmock.h>

namespace sparsescope {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;

constexpr double kEighth = 1.0 / 8;
const std::array<bool, 3> kT{true, false, false}, kHW{false, true, true}, kTHW{true, true, true};

class HeadClasses : public ::testing::Test {
 protected:
  float& offset(int64_t t, int64_t h, int64_t w) {
    return offsets_[static_cast<size_t>((t * 4 + h) * 4 + w)];
  }
  HeadClassification classify(double budget) const {
    return classify_head(tiles_, offsets_, keys_, budget);
  }

  TileGrid tiles_{{4, 4, 4}, {1, 1, 1}};
  std::vector<float> offsets_ = std::vector<float>(64, 0.0f);
  std::vector<float> keys_ = std::vector<float>(64, 1.0f / 64);
};

TEST_F(HeadClasses, AnEvenHeadHoldsTheBudgetEverywhereAndIsGlobal) {
  offsets_ = even_offset_mass(tiles_);
  for (const double budget : {0.001, 1.0 / 64, 0.1, 0.25, 0.6, 0.99}) {
    const HeadClassification head = classify(budget);
    EXPECT_NEAR(head.spatial, budget, 1e-6);
    EXPECT_NEAR(head.temporal, budget, 1e-6);
    EXPECT_NEAR(head.local_3d, budget, 1e-6);
    EXPECT_NEAR(head.sink, budget, 1e-6);
    EXPECT_EQ(head.chance, budget);
    EXPECT_EQ(head.head_class, HeadClass::kGlobal);
  }
}

// Own frame: density (4/16) * 1 * 1 = 1/4. At 1/8 the growing square holds r = 0 (4/16 * 1/4 * 1/4
// = 1/64) and a share of r = 1 (4/16 * 10/16 * 10/16 = 25/256): all of it, and of r = 2
// (4/16 * 14/16 * 14/16 = 49/256) the share (32 - 25) / (49 - 25).
TEST_F(HeadClasses, ASpatialHeadByHand) {
  offset(0, 0, 0) = 0.4f;
  offset(0, 1, 0) = 0.1f;
  offset(0, 1, 1) = 0.2f;
  offset(0, 2, 0) = 0.1f;
  offset(0, 0, 3) = 0.2f;
  EXPECT_NEAR(neighbourhood_mass(tiles_, offsets_, kHW, kEighth), 0.7 + 0.1 * 7 / 24, 1e-6);
  // Own tile 1/64; then along t (10/256): 0.4 alone; whole column 16/256; then the ring h, w <= 1
  // with all t: density 100/256, mass 0.7.
  EXPECT_NEAR(neighbourhood_mass(tiles_, offsets_, kT, kEighth), 0.4 + 0.3 * 16 / 84, 1e-6);
  // r = 1 along all: (10/16)^3 = 250/1024, mass 0.7; from 1/64 = 16/1024.
  EXPECT_NEAR(neighbourhood_mass(tiles_, offsets_, kTHW, kEighth), 0.4 + 0.3 * 112 / 234, 1e-6);
  const HeadClassification head = classify(kEighth);
  EXPECT_EQ(head.head_class, HeadClass::kSpatial);
  // Better still: the line w first, 16/256 of the pairs with 0.6; then h <= 1, 40/256 with 0.9.
  EXPECT_NEAR(head.spatial, 0.6 + 0.3 * 16 / 24, 1e-6);
}

TEST_F(HeadClasses, TheOwnPlaceInAllFramesIsTemporal) {
  for (int64_t t = 0; t < 4; ++t) offset(t, 0, 0) = 0.25f;
  const HeadClassification head = classify(1.0 / 16);  // the column's density
  EXPECT_NEAR(head.temporal, 1.0, 1e-6);
  EXPECT_EQ(head.head_class, HeadClass::kTemporal);
}

TEST_F(HeadClasses, NeighboursOnEveryAxisAreLocal) {
  for (int64_t t = 0; t < 2; ++t)
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t w = 0; w < 2; ++w) offset(t, h, w) = 0.125f;
  const HeadClassification head = classify(0.25);  // (10/16)^3 = 0.244
  EXPECT_NEAR(head.local_3d, 1.0, 1e-6);
  EXPECT_NEAR(head.spatial, 0.5, 1e-6);  // the own frame, 0.25 of the pairs
  EXPECT_EQ(head.head_class, HeadClass::kLocal3d);
}

TEST_F(HeadClasses, TheOwnTileAloneIsLocal) {
  offset(0, 0, 0) = 1.0f;
  const HeadClassification head = classify(kEighth);
  EXPECT_EQ(head.spatial, head.local_3d);
  EXPECT_EQ(head.temporal, head.local_3d);
  EXPECT_EQ(head.head_class, HeadClass::kLocal3d);
}

TEST_F(HeadClasses, TheSameKeysForAllQueriesAreASink) {
  offsets_ = even_offset_mass(tiles_);
  keys_.assign(64, 0.2f / 60);
  for (const size_t tile : {0, 1, 2, 3}) keys_[tile] = 0.2f;
  const HeadClassification head = classify(kEighth);  // 8 of 64 tiles
  EXPECT_NEAR(head.sink, 0.8 + 4 * 0.2 / 60, 1e-6);
  EXPECT_EQ(head.head_class, HeadClass::kSink);
}

TEST_F(HeadClasses, BetweenClearAndEvenFitsNoClass) {
  const std::vector<float> even = even_offset_mass(tiles_);
  for (size_t i = 0; i < even.size(); ++i) offsets_[i] = 0.7f * even[i];
  offset(0, 0, 0) += 0.3f;  // every neighbourhood gains 0.3
  EXPECT_EQ(classify(kEighth).head_class, HeadClass::kNone);
  EXPECT_NEAR(classify(kEighth).local_3d, 0.3 + 0.7 / 8, 1e-6);
}

TEST_F(HeadClasses, TextKeysDoNotCount) {
  offset(0, 0, 0) = 0.25f;
  keys_.assign(64, 0.25f / 64);
  EXPECT_NEAR(classify(kEighth).local_3d, 1.0, 1e-6);
  EXPECT_NEAR(classify(kEighth).sink, kEighth, 1e-6);
}

// 5 tokens in tiles of 2: extents 2, 2, 1. Pairs of one tile 9 of 25, neighbours 12, ends 4.
TEST(EvenOffsetMass, CountsTokensOfClippedTiles) {
  EXPECT_THAT(even_offset_mass(TileGrid({1, 1, 5}, {1, 1, 2})),
              ElementsAre(FloatNear(9 / 25.0f, 1e-6f), FloatNear(12 / 25.0f, 1e-6f),
                          FloatNear(4 / 25.0f, 1e-6f)));
}

TEST(HeadClassOfOneFrame, HasNoTemporalAxis) {
  const TileGrid tiles({1, 4, 4}, {4, 1, 1});
  std::vector<float> offsets(16, 0.0f);
  offsets[0] = offsets[1] = 0.5f;
  const std::vector<float> keys(16, 1.0f / 16);
  const HeadClassification head = classify_head(tiles, offsets, keys, 0.25);
  EXPECT_EQ(head.temporal, 0);
  EXPECT_EQ(head.local_3d, 0);
  EXPECT_EQ(head.head_class, HeadClass::kSpatial);
}

TEST(ClassShares, AreOfAllHeads) {
  const std::vector<HeadClass> heads = {HeadClass::kSink, HeadClass::kNone, HeadClass::kSink,
                                        HeadClass::kSpatial};
  EXPECT_THAT(class_shares(heads), ElementsAre(0.25, 0, 0, 0, 0.5, 0.25));
  EXPECT_EQ(to_string(HeadClass::kLocal3d), "local_3d");
  EXPECT_THAT(class_shares({}), Each(0));
}

}  // namespace
}  // namespace sparsescope
