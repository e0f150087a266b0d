// The knee of a falling curve, by hand.
#include <gtest/gtest.h>

#include <array>

#include "tune/sweep.h"

namespace sparsescope {
namespace {

TEST(Knee, LiesFurthestBelowTheChord) {
  const std::array x{0.1, 0.2, 0.4, 0.8}, y{1.0, 0.3, 0.2, 0.1};
  EXPECT_EQ(knee_of(x, y), 1);
}

TEST(Knee, AStraightLineHasNone) {
  const std::array x{0.0, 0.5, 1.0}, y{1.0, 0.5, 0.0};
  EXPECT_EQ(knee_of(x, y), -1);
}

TEST(Knee, NeedsThreePoints) {
  const std::array x{0.0, 1.0}, y{1.0, 0.0};
  EXPECT_EQ(knee_of(x, y), -1);
}

}  // namespace
}  // namespace sparsescope
