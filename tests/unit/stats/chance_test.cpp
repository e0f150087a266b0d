#include "stats/chance.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

namespace sparsescope {
namespace {

// All pairs of subsets of these sizes, counted one by one.
double jaccard_by_counting(unsigned total, int first, int second) {
  double sum = 0, pairs = 0;
  for (unsigned a = 0; a < (1u << total); ++a) {
    if (std::popcount(a) != first) continue;
    for (unsigned b = 0; b < (1u << total); ++b) {
      if (std::popcount(b) != second) continue;
      sum += static_cast<double>(std::popcount(a & b)) / std::popcount(a | b);
      ++pairs;
    }
  }
  return sum / pairs;
}

TEST(ExpectedJaccard, IsTheMeanOverAllPairsOfSets) {
  for (int first = 1; first <= 7; ++first) {
    for (int second = 1; second <= 7; ++second) {
      EXPECT_NEAR(expected_jaccard(7, first, second), jaccard_by_counting(7, first, second), 1e-12)
          << first << ", " << second;
    }
  }
}

TEST(ExpectedJaccard, ByHand) {
  EXPECT_NEAR(expected_jaccard(2, 1, 1), 0.5, 1e-15);
  // 3 of 4 each: overlap 2 (of 4) with chance 3/4, else 3
  EXPECT_NEAR(expected_jaccard(4, 3, 3), 0.75 * 0.5 + 0.25, 1e-15);
  EXPECT_EQ(expected_jaccard(9, 9, 9), 1.0);
  EXPECT_EQ(expected_jaccard(9, 0, 0), 1.0);
  EXPECT_EQ(expected_jaccard(9, 0, 4), 0.0);
}

TEST(ExpectedJaccard, ManyMembersReachTheLimit) {
  EXPECT_NEAR(expected_jaccard_of_shares(0.25, 0.25), 0.25 / 1.75, 1e-15);
  EXPECT_NEAR(expected_jaccard(1'000'000, 250'000, 250'000), 0.25 / 1.75, 1e-6);
  EXPECT_NEAR(expected_jaccard(1'000'000, 100'000, 500'000), 0.05 / 0.55, 1e-6);
  EXPECT_EQ(expected_jaccard_of_shares(0, 0), 1.0);
}

}  // namespace
}  // namespace sparsescope
