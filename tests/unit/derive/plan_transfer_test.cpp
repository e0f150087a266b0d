// A plan on the prompts of its own profile and of others: recalls by hand.
#include "derive/plan_transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "derive/derive.h"
#include "derive/plan_points.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_coverage;
using testing::error_of;
using testing::make_profile;
using testing::options_for;

// Head 0 finds a share of the mass that is the root of the kept share, head 1 the kept share
// itself; `steepness` bends both.
Profile profile_of(const testing::ProfileShape& shape, double steepness = 1.0) {
  Profile profile = make_profile(shape);
  const auto tiles = static_cast<double>(TileGrid(profile.grid, profile.tile).num_tiles());
  add_coverage(profile, [=](const ProfileSite& site, double kept) {
    const double prompt = 1.0 + 0.1 * static_cast<double>(site.prompt);
    return std::pow(kept / tiles, (site.head == 0 ? 0.5 : 1.0) * steepness * prompt);
  });
  return profile;
}

TEST(PlanPoints, MeansOverSitesWithDenseOnesAsOne) {
  const Profile profile = profile_of({.prompts = 2});
  Plan plan = derive_plan(profile, options_for(TargetKind::kDensity, 0.25, Granularity::kModel));
  plan.dense_steps = {1};
  plan.rules = {{{0, 1}, {0, 1}, {0, 1}, VsaParams{4}}};  // of 16 tiles
  const std::vector<OperatingPoint> points = plan_points(profile, plan);
  ASSERT_EQ(points.size(), 2u);
  for (const OperatingPoint& point : points) {
    EXPECT_NEAR(point.density, (0.25 + 1.0) / 2.0, 1e-6);
  }
  EXPECT_NEAR(points[0].recall, ((0.5 + 0.25) / 2.0 + 1.0) / 2.0, 1e-6);
  EXPECT_NEAR(points[1].recall, ((std::pow(0.25, 0.55) + std::pow(0.25, 1.1)) / 2.0 + 1.0) / 2.0,
              1e-6);
}

TEST(PlanPoints, AgreeWithWhatThePlanForetells) {
  const Profile profile = profile_of({.prompts = 3});
  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.7, Granularity::kHeadStep));
  std::vector<double> recalls;
  for (const OperatingPoint& point : plan_points(profile, plan)) recalls.push_back(point.recall);
  EXPECT_NEAR(mean_of(recalls), plan.expected_recall->mean, 1e-6);
}

TEST(PlanPoints, RefuseAnotherShapeAndAPartitionThatWasNotMeasured) {
  const Profile profile = profile_of({});
  Plan plan = derive_plan(profile, options_for(TargetKind::kDensity, 0.25, Granularity::kModel));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { plan_points(profile_of({.steps = 3}), plan); }),
              ::testing::HasSubstr("2 steps"));
  plan.method = Method::kVmoba;
  plan.rules = {{{0, 1}, {0, 1}, {0, 1}, VmobaParams{parse_partition("temporal:1")}}};
  error_of(ErrorKind::kData, [&] { plan_points(profile, plan); });
}

TEST(PlanTransfer, ToALargerGridAndMoreStepsOfTheSameCurvesLosesNothing) {
  const Profile a = profile_of({.prompts = 2});
  const Profile b = profile_of({.grid = {8, 16, 32}, .prompts = 2, .steps = 4});  // 64 tiles
  const Plan plan = derive_plan(a, options_for(TargetKind::kDensity, 0.25, Granularity::kHead));
  const PlanTransfer transfer = transfer_plan(a, b, plan);
  EXPECT_EQ(transfer.carried.grid, b.grid);
  EXPECT_NEAR(transfer.on_b.mean.density, transfer.on_a.mean.density, 1e-6);
  EXPECT_NEAR(transfer.on_b.mean.recall, transfer.on_a.mean.recall, 1e-6);
  ASSERT_TRUE(transfer.own) << transfer.why_no_own;
  // 64 tiles are a finer choice than 16.
  EXPECT_GE(transfer.own->mean.recall, transfer.on_b.mean.recall - 1e-6);
  EXPECT_LT(transfer.own->mean.recall, transfer.on_b.mean.recall + 0.02);
}

TEST(PlanTransfer, OtherCurvesLoseRecallAtTheSameDensity) {
  const Profile a = profile_of({.prompts = 2});
  const Profile b = profile_of({.prompts = 2}, 2.0);
  const PlanTransfer transfer = transfer_plan(
      a, b, derive_plan(a, options_for(TargetKind::kRecall, 0.8, Granularity::kModel)));
  EXPECT_NEAR(transfer.on_b.mean.density, transfer.on_a.mean.density, 1e-6);
  EXPECT_LT(transfer.on_b.mean.recall, transfer.on_a.mean.recall - 0.05);
  ASSERT_TRUE(transfer.on_b.recall);
  EXPECT_LT(transfer.on_b.recall->low, transfer.on_b.mean.recall);
}

TEST(PlanTransfer, SaysWhyBGivesNoPlanOfItsOwn) {
  const Profile a = profile_of({.prompts = 2});
  Plan plan = derive_plan(a, options_for(TargetKind::kRecall, 0.8, Granularity::kModel));
  plan.expected_error = Expected{0.1, 0.0, 0.2, 0.95};  // weighed by effects, which B lacks
  EXPECT_THAT(transfer_plan(a, a, plan).why_no_own, ::testing::HasSubstr("sensitivity"));
  plan.evidence.erase("derivation");
  EXPECT_THAT(transfer_plan(a, a, plan).why_no_own, ::testing::HasSubstr("not derived"));
}

}  // namespace
}  // namespace sparsescope
