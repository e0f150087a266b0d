// Do the intervals of plans hold on prompts that nothing was derived from? On a really trained
// model: plans are derived from disjoint groups of data/tiny-wan's calibration prompts, and every
// held-out prompt is looked up in every plan's intervals.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "derive/derive.h"
#include "derive/plan_points.h"
#include "stats/profile_request.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"
#include "tune/plan_trial.h"

namespace sparsescope {
namespace {

constexpr int64_t kGroups = 4, kGroupSize = 6;  // of the 24 calibration prompts
constexpr double kStated = 0.95;
const std::string kCheckpoint = SPARSESCOPE_DATA "/tiny-wan";

// As `profile --record-prompts` leaves it: everything of other prompts is missing.
Profile only_prompts(Profile profile, int64_t first, int64_t count) {
  const auto keep = [&](auto& values, auto missing) {
    const auto per_prompt = std::ssize(values) / profile.prompts;
    std::fill(values.begin(), values.begin() + first * per_prompt, missing);
    std::fill(values.begin() + (first + count) * per_prompt, values.end(), missing);
  };
  keep(profile.recorded, uint8_t{0});
  for (auto& [name, array] : profile.arrays) {
    keep(array.values, std::numeric_limits<float>::quiet_NaN());
  }
  return profile;
}

class HeldoutCoverage : public ::testing::Test {
 protected:
  static SamplingRequest sampling(const std::string& prompts) {
    SamplingRequest request;
    request.checkpoint = kCheckpoint;
    request.prompts = kCheckpoint + "/prompts/" + prompts;
    request.grid = {2, 16, 16};
    request.steps = 3;
    request.guidance = 1.0;
    return request;
  }

  Profile profile(const std::string& prompts, int64_t sensitivity) const {
    ProfileRequest request;
    request.sampling = sampling(prompts);
    request.tile = {2, 4, 4};
    request.partitions = "temporal:1 spatial:4,4 st:2,4,4";
    request.error_tiles = 1;
    request.sensitivity = sensitivity;
    request.out.path = folder_ / (prompts + ".h5");
    request.threads = 2;
    run_profile(request, {});
    return read_profile(request.out.path);
  }

  testing::TempDir folder_;
};

// Shares of the looked up prompts that lie inside.
struct Inside {
  double density = 0.0, recall = 0.0, error = 0.0;
};

double holds(const Expected& expected, double value) {
  constexpr double kRounding = 1e-6;  // statistics are stored as fp32
  return value >= expected.low - kRounding && value <= expected.high + kRounding ? 1.0 : 0.0;
}

TEST_F(HeldoutCoverage, IntervalsHoldOnATrainedModel) {
  const Profile calibration = profile("calibration.txt", 1), heldout = profile("heldout.txt", 0);
  ASSERT_EQ(calibration.prompts, kGroups * kGroupSize);
  std::vector<Plan> plans;
  for (int64_t group = 0; group < kGroups; ++group) {
    const Profile part = only_prompts(calibration, group * kGroupSize, kGroupSize);
    for (const Method method : {Method::kVsa, Method::kBsa, Method::kVmoba}) {
      plans.push_back(derive_plan(part, {.method = method,
                                         .target = {TargetKind::kDensity, 0.4},
                                         .per = Granularity::kHeadStep,
                                         .weighing = Weighing::kEffect,
                                         .confidence = kStated}));
    }
  }

  const LoadedSampling loaded = load_sampling(sampling("heldout.txt"));
  const Denoiser denoiser(*loaded.model, loaded.folder, loaded.sampling);
  std::vector<int64_t> prompts(static_cast<size_t>(heldout.prompts));
  std::iota(prompts.begin(), prompts.end(), 0);
  ThreadPool pool(2);
  const std::vector<PlanTrial> trials =
      try_plans(denoiser, loaded.prompts, prompts, plans, default_cpu_impl(), pool, {});

  // Plans of one group go wrong together. An interval from six prompts covers 0.95 of the others on
  // average, and one group's 12 looked up prompts spread about that by 0.1: four groups by 0.05.
  constexpr double kLeast = kStated - 2.0 * 0.05;
  Inside inside;
  double error_ratio = 0.0;
  const double weight = 1.0 / static_cast<double>(plans.size() * prompts.size());
  for (size_t i = 0; i < plans.size(); ++i) {
    const Plan& plan = plans[i];
    const std::vector<OperatingPoint> points = plan_points(heldout, plan);
    for (size_t p = 0; p < prompts.size(); ++p) {
      const double error = trials[i].error_of_prompt[p];
      inside.density += weight * holds(*plan.expected_density, points[p].density);
      inside.recall += weight * holds(*plan.expected_recall, points[p].recall);
      inside.error += weight * holds(*plan.expected_error, error);
      error_ratio += weight * error / plan.expected_error->mean;
    }
  }
  EXPECT_GE(inside.density, kLeast);
  EXPECT_GE(inside.recall, kLeast);
  EXPECT_GE(inside.error, kLeast);
  // Effects are measured at one of three steps.
  EXPECT_NEAR(error_ratio, 1.0, 0.25);
}

}  // namespace
}  // namespace sparsescope
