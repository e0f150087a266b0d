// Progress lines and the time left, judged by values worked out by hand.
#include "apps/console.h"

#include <gtest/gtest.h>

namespace sparsescope {
namespace {

TEST(Console, DurationsAreRoundedUpToSeconds) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.2), "1:00");
  EXPECT_EQ(format_duration(187), "3:07");
  EXPECT_EQ(format_duration(3765), "1:02:45");
  EXPECT_EQ(format_duration(-3), "0:00");
}

TEST(Console, BarShowsShareAndTimeLeft) {
  const ProgressState half{.done = 5, .total = 10, .what = "prompt 1/2", .remaining_seconds = 61};
  EXPECT_EQ(format_bar(half, 200), "[############............]  50 %  prompt 1/2  1:01 left");
  const ProgressState done{.done = 10, .total = 10, .what = "", .remaining_seconds = 0};
  EXPECT_EQ(format_bar(done, 200), "[########################] 100 %");
  // 999 of 1000 is not yet all.
  EXPECT_NE(format_bar({.done = 999, .total = 1000, .what = ""}, 200).find(" 99 %"),
            std::string::npos);
}

TEST(Console, BarNeverExceedsItsWidth) {
  const ProgressState state{.done = 1, .total = 3, .what = std::string(300, 'x')};
  EXPECT_EQ(format_bar(state, 40).size(), 40u);
}

TEST(Console, PlainLineCountsUnits) {
  EXPECT_EQ(format_plain({.done = 2, .total = 8, .what = "step 2", .remaining_seconds = 30}),
            "2/8, step 2, 0:30 left");
  EXPECT_EQ(format_plain({.done = 0, .total = 8, .what = ""}), "0/8");
}

TEST(RemainingTime, IsTheSpeedSinceTheFirstReport) {
  RemainingTime remaining;
  EXPECT_LT(remaining.update(0, 10, 100.0), 0);  // nothing known yet
  EXPECT_DOUBLE_EQ(remaining.update(2, 10, 106.0), 8 * 3.0);
  EXPECT_DOUBLE_EQ(remaining.update(10, 10, 130.0), 0.0);
}

TEST(RemainingTime, UnitsOfAnEarlierRunAreNotSpeed) {
  RemainingTime remaining;
  EXPECT_LT(remaining.update(90, 100, 0.0), 0);  // resumed at 90
  EXPECT_DOUBLE_EQ(remaining.update(91, 100, 4.0), 9 * 4.0);
}

TEST(RemainingTime, ANewTotalStartsAfresh) {
  RemainingTime remaining;
  remaining.update(0, 10, 0.0);
  remaining.update(10, 10, 10.0);
  EXPECT_LT(remaining.update(0, 4, 20.0), 0);
  EXPECT_DOUBLE_EQ(remaining.update(1, 4, 25.0), 3 * 5.0);
}

}  // namespace
}  // namespace sparsescope
