#include "stats/resampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"

namespace sparsescope {
namespace {

double mean_without(const std::vector<double>& values, int64_t left_out) {
  double sum = 0, count = 0;
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    if (i == left_out) continue;
    sum += values[static_cast<size_t>(i)];
    ++count;
  }
  return sum / count;
}

double mean_of_drawn(const std::vector<double>& values, std::span<const int64_t> drawn) {
  double sum = 0;
  for (const int64_t i : drawn) sum += values[static_cast<size_t>(i)];
  return sum / static_cast<double>(drawn.size());
}

// For a mean the jackknife is the formula s / sqrt(n), so that it gives Student's interval.
TEST(Jackknife, OfAMeanIsStudentsInterval) {
  const std::vector<double> values{1, 2, 3, 4, 7};
  const Estimate found =
      jackknife(5, 0.95, [&](int64_t left_out) { return mean_without(values, left_out); });
  const Interval expected = mean_interval(values, 0.95);
  EXPECT_NEAR(found.value, 3.4, 1e-12);
  EXPECT_NEAR(found.standard_error, std::sqrt(5.3 / 5), 1e-12);  // s^2 = 21.2 / 4
  EXPECT_NEAR(found.interval.low, expected.low, 1e-12);
  EXPECT_NEAR(found.interval.high, expected.high, 1e-12);
}

TEST(Jackknife, VarianceByHand) {
  // leave-one-out means of 1, 2, 6: 4, 3.5, 1.5; squared deviations 1 + 0.25 + 2.25; x 2/3
  EXPECT_NEAR(jackknife_variance(std::vector<double>{4, 3.5, 1.5}), 3.5 * 2 / 3, 1e-12);
}

TEST(Bootstrap, OfTwoUnitsDrawsEachPairAsOftenAsChanceSays) {
  const std::vector<double> values{0, 1};
  int64_t same = 0, all = 0;
  const Estimate found =
      bootstrap(2, {.draws = 20000, .seed = 3}, [&](std::span<const int64_t> drawn) {
        ++all;
        same += drawn[0] == drawn[1] ? 1 : 0;
        return mean_of_drawn(values, drawn);
      });
  EXPECT_EQ(all, 20001);  // the units as they are come first
  EXPECT_NEAR(static_cast<double>(same) / 20000, 0.5, 0.02);
  EXPECT_EQ(found.value, 0.5);
  EXPECT_NEAR(found.standard_error, std::sqrt(0.125), 0.01);  // of 0, 1/2, 1 at 1/4, 1/2, 1/4
  EXPECT_EQ(found.interval.low, 0);
  EXPECT_EQ(found.interval.high, 1);
}

TEST(Bootstrap, OneSeedGivesOneInterval) {
  const std::vector<double> values{1, 5, 2, 8, 3};
  const auto interval = [&](uint64_t seed) {
    return bootstrap(5, {.draws = 200, .seed = seed},
                     [&](std::span<const int64_t> drawn) { return mean_of_drawn(values, drawn); })
        .interval;
  };
  EXPECT_EQ(interval(1).low, interval(1).low);
  EXPECT_EQ(interval(1).high, interval(1).high);
  EXPECT_NE(interval(1).low, interval(2).low);
}

// 95 % intervals of the mean of 40 normal values, 400 times.
TEST(Bootstrap, CoversAboutAsOftenAsItSays) {
  int64_t covered = 0;
  for (uint64_t run = 0; run < 400; ++run) {
    std::vector<double> values;
    for (uint64_t i = 0; i < 40; ++i) values.push_back(normal(combine_key(17, run), i));
    const Interval interval =
        bootstrap(40, {.draws = 400, .seed = run}, [&](std::span<const int64_t> drawn) {
          return mean_of_drawn(values, drawn);
        }).interval;
    covered += interval.low <= 0 && 0 <= interval.high ? 1 : 0;
  }
  // Binomial spread is 1.1 %; percentile intervals of 40 values cover 1 to 2 % less than named.
  EXPECT_GT(covered, 400 * 0.90);
  EXPECT_LT(covered, 400 * 0.98);
}

}  // namespace
}  // namespace sparsescope
