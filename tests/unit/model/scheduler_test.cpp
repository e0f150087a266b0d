// Grids and trajectories against values of diffusers 0.38.
#include "model/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "support/near.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Scheduler> euler(int64_t steps, double shift) {
  return make_scheduler(std::nullopt, "flow-euler", steps, shift);
}

std::unique_ptr<Scheduler> unipc(int64_t steps, double shift) {
  return make_scheduler(std::nullopt, "unipc", steps, shift);
}

// The first values of a list and the last ones.
void expect_ends(const std::vector<double>& found, const std::vector<double>& first,
                 const std::vector<double>& last, double tolerance) {
  ASSERT_GE(found.size(), first.size() + last.size());
  for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(found[i], first[i], tolerance) << i;
  for (size_t i = 0; i < last.size(); ++i) {
    EXPECT_NEAR(found[found.size() - last.size() + i], last[i], tolerance) << "from the end " << i;
  }
}

// v = 0.5 x + 0.25 cos(t / 100)
HostTensor toy_model(const TrajectoryState& state, const Scheduler& scheduler) {
  HostTensor v = state.latents;
  const double t = scheduler.timesteps()[static_cast<size_t>(state.next_step)];
  for (float& value : v.values) {
    value = static_cast<float>(0.5 * value + 0.25 * std::cos(t / 100.0));
  }
  return v;
}

TrajectoryState toy_start() { return {.latents = {{1, 3, 1, 1, 1}, {1.0f, -0.5f, 0.25f}}}; }

// The samples after every step.
std::vector<std::vector<float>> toy_trajectory(const Scheduler& scheduler) {
  TrajectoryState state = toy_start();
  std::vector<std::vector<float>> samples;
  for (size_t i = 0; i < scheduler.timesteps().size(); ++i) {
    scheduler.advance(state, toy_model(state, scheduler));
    samples.push_back(state.latents.values);
  }
  return samples;
}

TEST(FlowEuler, Grid) {
  expect_ends(euler(50, 3)->timesteps(), {1000, 993.124, 986.057, 978.790},
              {120.533, 66.900, 8.929}, 6e-4);
  expect_ends(euler(50, 5)->timesteps(), {1000, 995.872, 991.605, 987.192},
              {192.804, 114.819, 24.414}, 6e-4);
  expect_ends(euler(50, 8)->timesteps(), {1000, 997.424, 994.753, 991.982},
              {289.377, 188.355, 60.207}, 6e-4);
  const auto four = euler(4, 3);
  EXPECT_EQ(four->timesteps().size(), 4u);
  ASSERT_EQ(four->sigmas().size(), 5u);
  expect_ends(four->sigmas(), {1, 0.857692, 0.602151, 0.00892857}, {0}, 5e-7);
  EXPECT_EQ(euler(1, 3)->sigmas(), (std::vector<double>{1, 0}));
}

TEST(FlowEuler, Step) {
  const auto scheduler = euler(4, 3);
  TrajectoryState state = toy_start();
  HostTensor v{{1, 3, 1, 1, 1}, {2.0f, -1.0f, 0.0f}};
  scheduler->advance(state, v);
  const double delta = 0.857692 - 1.0;
  EXPECT_TRUE(near(state.latents.values, std::vector<double>{1 + 2 * delta, -0.5 - delta, 0.25},
                   {.max_abs = 1e-6}));
  EXPECT_EQ(state.next_step, 1);
}

// With the exact velocity noise - data the sampler ends at the data, whatever the grid.
TEST(FlowEuler, ExactVelocityEndsAtTheData) {
  const std::vector<float> data = {0.3f, -0.7f, 0.1f};
  const TrajectoryState start = toy_start();
  for (const auto& scheduler : {euler(7, 3), unipc(7, 3)}) {
    TrajectoryState state = start;
    HostTensor v = start.latents;
    for (size_t e = 0; e < 3; ++e) v.values[e] -= data[e];
    for (int i = 0; i < 7; ++i) scheduler->advance(state, v);
    EXPECT_TRUE(near(state.latents.values, data, {.max_abs = 3e-6})) << scheduler->name();
  }
}

TEST(UniPc, Grid) {
  expect_ends(unipc(50, 3)->timesteps(), {999, 993, 986, 979, 971, 964}, {208, 162, 113, 60}, 0);
  expect_ends(unipc(50, 5)->timesteps(), {999, 995, 991, 987, 982, 978}, {305, 244, 175, 96}, 0);
  expect_ends(unipc(40, 12)->timesteps(), {999, 997, 995, 993, 990, 988}, {573, 496, 391, 242}, 0);
  expect_ends(unipc(10, 3)->timesteps(), {999, 964, 923, 875, 818}, {750, 667, 563, 429, 251}, 0);
  expect_ends(unipc(8, 5)->timesteps(), {999, 972, 937, 893}, {833, 750, 625, 418}, 0);
  expect_ends(unipc(8, 5)->sigmas(), {0.999999, 0.9722531, 0.9375781, 0.89301014},
              {0.83361095, 0.7504995, 0.6259361, 0.41860658, 0}, 6e-8);
}

TEST(UniPc, Trajectory) {
  const std::vector<std::vector<float>> expected = {
      {0.9919847f, -0.4872059f, 0.2523894f}, {0.9835430f, -0.4701523f, 0.2566954f},
      {0.9732116f, -0.4485044f, 0.2623536f}, {0.9561144f, -0.4239543f, 0.2660800f},
      {0.9200001f, -0.4037889f, 0.2581056f}, {0.8355968f, -0.4080870f, 0.2137549f},
      {0.6780751f, -0.4434459f, 0.1173146f}, {0.5892722f, -0.2975108f, 0.1458807f}};
  const auto found = toy_trajectory(*unipc(8, 5));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(near(found[i], expected[i], {.max_abs = 1e-6})) << "step " << i;
  }
}

TEST(UniPc, FinalSamples) {
  struct Case {
    int64_t steps;
    double shift;
    std::vector<float> expected;
  };
  for (const Case& tested : {Case{50, 3, {0.6099156f, -0.2999206f, 0.1549975f}},
                             Case{50, 5, {0.6168611f, -0.2926220f, 0.1621196f}},
                             Case{40, 12, {0.6932680f, -0.2103729f, 0.2414476f}},
                             Case{10, 3, {0.6899266f, -0.2135615f, 0.2381825f}}}) {
    const auto found = toy_trajectory(*unipc(tested.steps, tested.shift));
    EXPECT_TRUE(near(found.back(), tested.expected, {.max_abs = 1e-6})) << tested.steps;
  }
}

// A state copied between two steps goes on to the same bits.
TEST(Trajectories, ResumeExactly) {
  for (const auto& make : {euler, unipc}) {
    const auto scheduler = make(6, 5.0);
    const auto expected = toy_trajectory(*scheduler);
    for (int64_t stop = 0; stop < 6; ++stop) {
      TrajectoryState state = toy_start();
      while (state.next_step < stop) scheduler->advance(state, toy_model(state, *scheduler));
      const auto other = make(6, 5.0);
      TrajectoryState resumed{state.next_step, state.latents, state.history, state.counters};
      while (resumed.next_step < 6) other->advance(resumed, toy_model(resumed, *other));
      EXPECT_EQ(resumed.latents.values, expected.back()) << scheduler->name() << " from " << stop;
    }
  }
}

TEST(Trajectories, WrongStatesAreRefused) {
  const auto scheduler = unipc(2, 3);
  TrajectoryState state = toy_start();
  EXPECT_EQ(error_of([&] {
              scheduler->advance(state, HostTensor::zeros({1, 2}));
            }).kind(),
            ErrorKind::kUsage);
  state.next_step = 1;  // without the history of step 0
  const HostTensor v = state.latents;
  EXPECT_EQ(error_of([&] { scheduler->advance(state, v); }).kind(), ErrorKind::kData);
  state.next_step = 2;
  EXPECT_EQ(error_of([&] { scheduler->advance(state, v); }).kind(), ErrorKind::kUsage);
}

TEST(Schedulers, FollowTheConfig) {
  const Json flow = Json::parse(
      R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 7.0, "shift_terminal": null})");
  const Json multistep = Json::parse(
      R"({"_class_name": "UniPCMultistepScheduler", "flow_shift": 5.0, "solver_order": 2,
          "prediction_type": "flow_prediction", "use_flow_sigmas": true})");
  EXPECT_EQ(make_scheduler(flow, "", 4, {})->name(), "flow-euler");
  EXPECT_EQ(make_scheduler(flow, "", 4, {})->shift(), 7.0);
  EXPECT_EQ(make_scheduler(multistep, "", 4, {})->name(), "unipc");
  EXPECT_EQ(make_scheduler(multistep, "", 4, {})->shift(), 5.0);
  EXPECT_EQ(make_scheduler(flow, "unipc", 4, {})->name(), "unipc");
  EXPECT_EQ(make_scheduler(flow, "unipc", 4, {})->shift(), 7.0);
  EXPECT_EQ(make_scheduler(flow, "", 4, 2.0)->shift(), 2.0);
}

TEST(Schedulers, RefuseWhatTheyDoNotCompute) {
  const auto error = [](const std::string& config, const std::string& name, int64_t steps) {
    return error_of([&] { make_scheduler(Json::parse(config), name, steps, {}); });
  };
  const Error other = error(R"({"_class_name": "CogVideoXDDIMScheduler"})", "", 4);
  EXPECT_EQ(other.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(other.what(), HasSubstr("flow-euler"));
  EXPECT_THAT(other.what(), HasSubstr("unipc"));
  const Error dynamic = error(
      R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true})", "", 4);
  EXPECT_EQ(dynamic.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(dynamic.what(), HasSubstr("use_dynamic_shifting"));
  const Error order =
      error(R"({"_class_name": "UniPCMultistepScheduler", "solver_order": 3})", "", 4);
  EXPECT_EQ(order.kind(), ErrorKind::kUnsupported);
  EXPECT_EQ(error("{}", "ddim", 4).kind(), ErrorKind::kUsage);
  EXPECT_EQ(error("{}", "unipc", 0).kind(), ErrorKind::kUsage);
  EXPECT_EQ(error(R"({"shift": -1})", "flow-euler", 4).kind(), ErrorKind::kData);
}

}  // namespace
}  // namespace sparsescope::testing
