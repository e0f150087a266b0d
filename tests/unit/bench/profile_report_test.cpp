// Where a profile's time goes, from hand-made times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/profile_bench.h"

namespace sparsescope::testing {
namespace {

Distribution exactly(double seconds) { return distribution_of({seconds}); }

// Model 6 s, attention 4 s, reducers 0.5 s, keeping and writing 0.3 s.
ProfileBenchReport example() {
  ProfileBenchReport report;
  report.plain = {exactly(10), exactly(4)};
  report.recorded = {exactly(10.6), exactly(4.5)};
  report.profile = exactly(10.8);
  report.overhead = exactly(1.08);
  return report;
}

TEST(ProfileReport, TellsTheCostsApart) {
  const ProfileBenchReport report = example();
  EXPECT_DOUBLE_EQ(report.overhead_end_to_end(), 1.08);
  EXPECT_DOUBLE_EQ(report.model_seconds(), 6);
  EXPECT_DOUBLE_EQ(report.attention_seconds(), 4);
  EXPECT_DOUBLE_EQ(report.reducer_seconds(), 0.5);
  EXPECT_NEAR(report.writing_seconds(), 0.3, 1e-12);
}

TEST(ProfileReport, JsonAndTableHoldTheOverhead) {
  const Json json = to_json(example());
  EXPECT_EQ(json.at("format"), "sparsescope-bench");
  EXPECT_EQ(json.at("kind"), "profile");
  EXPECT_DOUBLE_EQ(json.at("overhead_end_to_end"), 1.08);
  EXPECT_DOUBLE_EQ(json.at("reducers_ms"), 500);
  EXPECT_DOUBLE_EQ(json.at("plain").at("median_ms"), 10000);
  EXPECT_THAT(to_table(example()), ::testing::HasSubstr("overhead end to end 1.080"));
}

}  // namespace
}  // namespace sparsescope::testing
