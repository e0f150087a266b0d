// Numbers with intervals by prompts, and means over sites, by hand.
#include "summary/measured.h"

#include <gtest/gtest.h>

#include "summary/site_numbers.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

constexpr double kT2 = 4.302652730;  // 97.5 % of Student's t with 2 degrees of freedom

TEST(Measured, HasTheIntervalOfAMeanOverPrompts) {
  const Measured found = over_prompts(std::vector{1.0, kNotKnown, 2.0, 3.0}, 0.95);
  EXPECT_EQ(found.prompts, 3);
  EXPECT_DOUBLE_EQ(found.value, 2);
  const double half = kT2 / std::sqrt(3.0);  // s = 1
  EXPECT_NEAR(found.interval->low, 2 - half, 1e-8);
  EXPECT_NEAR(found.interval->high, 2 + half, 1e-8);
  EXPECT_EQ(over_prompts(std::vector{1.0, 2.0, 3.0}, 0.95, {0, 4}).interval->high, 4);
  EXPECT_FALSE(over_prompts(std::vector{1.0}, 0.95).interval);
  EXPECT_FALSE(over_prompts(std::vector{kNotKnown}, 0.95).known());
}

TEST(Measured, OfAMeanTheJackknifeIsTheSameInterval) {
  const std::vector<double> values{1, 2, 6};
  const auto mean_without = [&](int64_t left_out) {
    double sum = 0, count = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      if (static_cast<int64_t>(i) == left_out) continue;
      sum += values[i];
      ++count;
    }
    return sum / count;
  };
  const Measured mean = over_prompts(values, 0.95),
                 jackknife = over_prompts(3, 0.95, kUnbounded, mean_without);
  EXPECT_DOUBLE_EQ(jackknife.value, mean.value);
  EXPECT_NEAR(jackknife.interval->low, mean.interval->low, 1e-12);
  const auto fragile = [](int64_t left_out) { return left_out == 1 ? kNotKnown : 1.0; };
  EXPECT_FALSE(over_prompts(3, 0.95, kUnbounded, fragile).interval);
}

TEST(Measured, AboveChanceIsZeroThereAndOneAtItsMost) {
  Measured share{.value = 0.55, .interval = Interval{0.1, 1}, .prompts = 2};
  const Measured excess = above_chance(share, 0.1);
  EXPECT_DOUBLE_EQ(excess.value, 0.5);
  EXPECT_DOUBLE_EQ(excess.interval->low, 0);
  EXPECT_DOUBLE_EQ(excess.interval->high, 1);
  EXPECT_FALSE(above_chance(share, 1).known()) << "all tiles kept: every overlap is full";
}

TEST(SiteNumbers, WeighPromptsEquallyHoweverManySitesTheyHave) {
  Profile profile = make_profile({.prompts = 2, .steps = 2, .layers = 1, .heads = 1});
  profile.recorded = {1, 1, 1, 0};  // [prompt, step]
  add_statistic(profile, "entropy", 1, [](const ProfileSite& site, size_t) {
    return site.prompt == 0 ? 1.0 + static_cast<double>(site.step) : 5.0;
  });
  const SiteNumbers numbers = numbers_of(profile, "entropy");
  EXPECT_DOUBLE_EQ(numbers.of_prompt(0, {}), 1.5);
  EXPECT_DOUBLE_EQ(numbers.mean({}, 0.95).value, (1.5 + 5) / 2);
  EXPECT_DOUBLE_EQ(numbers.mean({.step = 1}, 0.95).value, 2);
  EXPECT_EQ(mean_values(profile, "entropy", {0, 1}, {}), std::vector{(1.5 + 5) / 2});
  EXPECT_TRUE(mean_values(profile, "entropy", {1}, {.step = 1}).empty());
}

}  // namespace
}  // namespace sparsescope::testing
