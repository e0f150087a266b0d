// Quantiles and spread on numbers that a reader can follow.
#include "core/distribution.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

TEST(Distribution, OfFiveSamplesInAnyOrder) {
  const Distribution d = distribution_of({4, 1, 5, 2, 3});
  EXPECT_EQ(d.median, 3);
  EXPECT_EQ(d.min, 1);
  EXPECT_EQ(d.max, 5);
  EXPECT_EQ(d.p25, 2);
  EXPECT_EQ(d.p75, 4);
  EXPECT_DOUBLE_EQ(d.spread(), 2.0 / 3.0);
}

TEST(Distribution, QuantilesOfAnEvenNumberLieBetweenSamples) {
  const Distribution d = distribution_of({1, 2, 4, 8});
  EXPECT_DOUBLE_EQ(d.median, 3);
  EXPECT_DOUBLE_EQ(d.p25, 1.75);  // place 0.75
  EXPECT_DOUBLE_EQ(d.p75, 5);     // place 2.25
}

TEST(Distribution, OfOneSampleHasNoSpread) {
  const Distribution d = distribution_of({0.5});
  EXPECT_EQ(d.median, 0.5);
  EXPECT_EQ(d.p25, 0.5);
  EXPECT_EQ(d.spread(), 0);
}

TEST(Distribution, OfNothingIsADefect) {
  error_of(ErrorKind::kInternal, [] { distribution_of({}); });
}

TEST(Distribution, IsWrittenInMilliseconds) {
  const Json json = milliseconds_json(distribution_of({0.002, 0.001, 0.003}));
  EXPECT_DOUBLE_EQ(json.at("median_ms"), 2);
  EXPECT_DOUBLE_EQ(json.at("min_ms"), 1);
  EXPECT_DOUBLE_EQ(json.at("max_ms"), 3);
  EXPECT_DOUBLE_EQ(json.at("p25_ms"), 1.5);
  EXPECT_DOUBLE_EQ(json.at("p75_ms"), 2.5);
  EXPECT_DOUBLE_EQ(json.at("spread"), 0.5);
}

}  // namespace
}  // namespace sparsescope::testing
