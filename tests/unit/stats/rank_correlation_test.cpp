#include "stats/rank_correlation.h"

#include <gmock/gmock.h>

#include <cmath>

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using Values = std::vector<double>;

TEST(Ranks, EqualValuesShareTheMeanOfTheirPlaces) {
  EXPECT_THAT(ranks_of(Values{30, 10, 20, 10}), ElementsAre(3, 0.5, 2, 0.5));
  EXPECT_THAT(ranks_of(Values{}), ElementsAre());
}

TEST(RankCorrelation, ByHand) {
  // d = 1, -1, 1, -1, 0: 1 - 6 * 4 / (5 * 24)
  EXPECT_NEAR(*rank_correlation(Values{1, 2, 3, 4, 5}, Values{2, 1, 4, 3, 5}), 0.8, 1e-12);
  EXPECT_NEAR(*rank_correlation(Values{1, 2, 3}, Values{-1, -8, -9}), -1, 1e-12);
  // ranks 0, 1, 2 against 0.5, 0.5, 2: 1.5 / sqrt(2 * 1.5)
  EXPECT_NEAR(*rank_correlation(Values{1, 2, 3}, Values{7, 7, 9}), 1.5 / std::sqrt(3.0), 1e-12);
}

TEST(RankCorrelation, OnlyTheOrderCounts) {
  const Values left{0.1, 0.7, 0.3, 0.9};
  Values right;
  for (const double value : left) right.push_back(std::exp(9 * value));
  EXPECT_NEAR(*rank_correlation(left, right), 1, 1e-12);
}

TEST(RankCorrelation, ConstantOrSingleValuesHoldNoOrder) {
  EXPECT_FALSE(rank_correlation(Values{1, 2}, Values{3, 3}));
  EXPECT_FALSE(rank_correlation(Values{1}, Values{1}));
  EXPECT_FALSE(rank_correlation(Values{}, Values{}));
}

}  // namespace
}  // namespace sparsescope
