#include "core/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace sparsescope {
namespace {

constexpr int kDraws = 200000;

// First outputs of the published SplitMix64 generator seeded with 1234567.
TEST(Rng, SplitMixReferenceValues) {
  constexpr uint64_t kStep = 0x9E3779B97F4A7C15ull;
  const std::array<uint64_t, 3> expected{6457827717110365317ull, 3203168211198807973ull,
                                         9817491932198370423ull};
  for (uint64_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(splitmix64(1234567 + i * kStep), expected[i]);
  }
}

// Bounds are five standard errors of the moment at this number of draws.
TEST(Rng, UniformMoments) {
  double sum = 0, squares = 0;
  std::array<int, 16> counts{};
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform(42, static_cast<uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
    ++counts[static_cast<size_t>(u * 16)];
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kDraws));
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 16.0, 5 * std::sqrt(kDraws / 16.0));
}

TEST(Rng, NormalMoments) {
  std::array<double, 5> moments{};
  for (int i = 0; i < kDraws; ++i) {
    const double x = normal(7, static_cast<uint64_t>(i));
    ASSERT_TRUE(std::isfinite(x));
    for (size_t power = 1; power < moments.size(); ++power) {
      moments[power] += std::pow(x, static_cast<double>(power)) / kDraws;
    }
  }
  EXPECT_NEAR(moments[1], 0.0, 5 * std::sqrt(1.0 / kDraws));
  EXPECT_NEAR(moments[2], 1.0, 5 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(moments[3], 0.0, 5 * std::sqrt(15.0 / kDraws));
  EXPECT_NEAR(moments[4], 3.0, 5 * std::sqrt(96.0 / kDraws));
}

TEST(Rng, NeighboursAndKeysAreUncorrelated) {
  double neighbours = 0, keys = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto index = static_cast<uint64_t>(i);
    neighbours += normal(1, index) * normal(1, index + 1) / kDraws;
    keys += normal(1, index) * normal(2, index) / kDraws;
  }
  EXPECT_NEAR(neighbours, 0.0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(keys, 0.0, 5 / std::sqrt(kDraws));
}

TEST(Rng, AValueDependsOnKeyAndIndexAlone) {
  const double alone = normal(3, 500);
  for (uint64_t i = 0; i < 10; ++i) normal(3, i);
  EXPECT_EQ(normal(3, 500), alone);
  EXPECT_NE(normal(3, 501), alone);
  EXPECT_NE(normal(4, 500), alone);
}

}  // namespace
}  // namespace sparsescope
