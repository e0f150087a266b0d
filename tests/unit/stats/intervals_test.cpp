#include "stats/intervals.h"

#include <gtest/gtest.h>

#include <vector>

namespace sparsescope {
namespace {

TEST(Intervals, QuantilesOfThePrintedTable) {
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736, 1e-7);
  EXPECT_NEAR(student_t_quantile(0.975, 2), 4.302652730, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 3), 3.182446305, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.95, 10), 1.812461123, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.995, 30), 2.749995654, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 1000), 1.962339081, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.025, 3), -3.182446305, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.5, 7), 0.0, 1e-12);
}

TEST(Intervals, ByHand) {
  const std::vector<double> values{1, 2, 3, 4};  // mean 2.5, s = sqrt(5/3)
  const Interval next = prediction_interval(values, 0.95);
  EXPECT_NEAR(next.low, 2.5 - 4.593466, 1e-5);  // 3.182446 * 1.290994 * sqrt(1.25)
  EXPECT_NEAR(next.high, 2.5 + 4.593466, 1e-5);
  const Interval mean = mean_interval(values, 0.95);
  EXPECT_NEAR(mean.low, 2.5 - 2.054260, 1e-5);  // 3.182446 * 1.290994 / 2
  EXPECT_NEAR(mean.high, 2.5 + 2.054260, 1e-5);
}

TEST(Intervals, NoSpreadNoWidth) {
  const std::vector<double> values{0.25, 0.25, 0.25};
  EXPECT_EQ(prediction_interval(values, 0.99).low, 0.25);
  EXPECT_EQ(mean_interval(values, 0.99).high, 0.25);
}

}  // namespace
}  // namespace sparsescope
