// Profiles with error curves and effects on the model's output: what they hold, for any number of
// threads, stopped and taken up again or not.
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "profile_run.h"
#include "stats/output_effects.h"
#include "stats/profile_store.h"
#include "support/near.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using testing::expect_same;
using testing::FakeTransformer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ProfileRun;

class EffectRun : public ProfileRun {
 protected:
  EffectRun() {
    run_.record.error_tiles = 2;
    run_.record.sensitivity = 1;
    run_.record.probes = 3;
  }

  // Every head keeps one of 4 tiles but at the first step.
  Plan plan() const {
    Plan plan;
    plan.model = {.family = "wan",
                  .layers = FakeTransformer::kLayers,
                  .heads = FakeTransformer::kHeads,
                  .head_dim = FakeTransformer::kHeadDim,
                  .checkpoint_hash = "0123"};
    plan.grid = {2, 3, 4};
    plan.tile = run_.record.tile;
    plan.num_steps = kSteps;
    plan.dense_steps = {0};
    plan.rules = {{{0, kSteps - 1},
                   {0, FakeTransformer::kLayers - 1},
                   {0, FakeTransformer::kHeads - 1},
                   VsaParams{.top_k = 1}}};
    return plan;
  }

  Profile profile_around(const Plan& plan) {
    run_.record.around = &plan;
    run_.record.around_hash = "beef";
    return truth();
  }
};

std::vector<std::string> own_axes(const Profile& profile, const std::string& name) {
  const ProfileArray& array = profile.arrays.at(name);
  return {array.axes.begin() + 5, array.axes.end()};
}

// Whether the array has a value at the first head of a call.
bool holds(const Profile& profile, const std::string& name, int64_t prompt, int64_t branch,
           int64_t step, int64_t layer) {
  return !std::isnan(*profile.at(name, prompt, branch, step, layer, 0));
}

TEST_F(EffectRun, HasTheArraysWithTheirAxes) {
  const Profile profile = truth();
  EXPECT_THAT(check_profile(temp_ / "truth.h5"), IsEmpty());
  for (const char* name : {"error_pooled", "effect_pooled"}) {
    EXPECT_THAT(own_axes(profile, name), ElementsAre("f"));
  }
  for (const char* name :
       {"bsa_error", "bsa_error_unpruned", "bsa_effect", "bsa_effect_unpruned"}) {
    EXPECT_THAT(own_axes(profile, name), ElementsAre("kappa"));
  }
  for (const auto& [partition, blocks] : {std::pair{"temporal:1", 2}, {"spatial:3,2", 2}}) {
    const std::string lead = std::string("vmoba/") + partition + "/";
    for (const char* name : {"error_topk", "effect_topk"}) {
      EXPECT_THAT(own_axes(profile, lead + name), ElementsAre("k"));
      EXPECT_EQ(profile.trailing(lead + name), blocks);
    }
    for (const char* name : {"error_tau", "effect_tau"}) {
      EXPECT_THAT(own_axes(profile, lead + name), ElementsAre("pool", "tau"));
    }
  }
  EXPECT_THAT(own_axes(profile, "sensitivity"), IsEmpty());
  EXPECT_THAT(own_axes(profile, "output_loss"), IsEmpty());
}

// Errors stand at every site, effects at one step of each prompt, in both branches.
TEST_F(EffectRun, EffectsStandAtTheirSteps) {
  const Profile profile = truth();
  const std::vector<int64_t> all = {0, 1, 2};
  for (int64_t prompt = 0; prompt < kPrompts; ++prompt) {
    const std::vector<int64_t> steps = effect_steps(all, {}, 1, prompt);
    for (const int64_t step : all) {
      const bool expected = step == steps.at(0);
      for (int64_t site = 0; site < 4; ++site) {
        EXPECT_TRUE(holds(profile, "error_pooled", prompt, site / 2, step, site % 2));
        EXPECT_EQ(holds(profile, "effect_pooled", prompt, site / 2, step, site % 2), expected);
        EXPECT_EQ(holds(profile, "sensitivity", prompt, site / 2, step, site % 2), expected);
        if (!expected) continue;
        const float* effects = profile.at("effect_pooled", prompt, site / 2, step, site % 2, 0);
        EXPECT_GT(effects[0], 0.0f);
        EXPECT_NEAR(effects[11], 0.0f, 1e-9) << "everything is kept";
        EXPECT_EQ(*profile.at("output_loss", prompt, site / 2, step, site % 2, 0), 0.0f);
      }
    }
  }
}

TEST_F(EffectRun, EffectsAloneAreAProfile) {
  const Profile whole = truth();
  run_.record.effects_only = true;
  run_.record.error_tiles = 0;
  run_.record.maps = "";
  run_.out.path = temp_ / "alone.h5";
  profile_trajectories(run_, {});
  EXPECT_THAT(check_profile(run_.out.path), IsEmpty());
  const Profile alone = read_profile(run_.out.path);
  EXPECT_FALSE(alone.arrays.contains("coverage_row"));
  EXPECT_FALSE(alone.arrays.contains("error_pooled"));
  EXPECT_EQ(testing::bits_of(alone.arrays.at("effect_pooled").values),
            testing::bits_of(whole.arrays.at("effect_pooled").values));
  for (int64_t step = 0; step < kSteps; ++step) {
    EXPECT_EQ(alone.is_recorded(1, 0, step, 1), holds(whole, "effect_pooled", 1, 0, step, 1));
  }
}

TEST_F(EffectRun, AroundAPlanThereIsALossAndNoSensitivity) {
  run_.record.sensitivity = kSteps;
  const Plan around = plan();
  const Profile profile = profile_around(around);
  EXPECT_THAT(check_profile(temp_ / "truth.h5"), IsEmpty());
  EXPECT_FALSE(profile.arrays.contains("sensitivity"));
  EXPECT_EQ(profile.manifest.at("around"), "beef");
  for (int64_t step = 0; step < kSteps; ++step) {
    const float loss = *profile.at("output_loss", 0, 1, step, 1, 0);
    EXPECT_EQ(loss > 0.0f, step > 0) << "the first step is dense";
    // One of 4 tiles is what the plan keeps: no change.
    const float* effects = profile.at("effect_pooled", 0, 1, step, 1, 0);
    EXPECT_NEAR(effects[step > 0 ? 0 : 11], 0.0f, 1e-6);
    EXPECT_GT(std::abs(effects[step > 0 ? 11 : 0]), 1e-5f);
  }
}

TEST_F(EffectRun, PlansOfAnotherShapeAreRefused) {
  Plan around = plan();
  around.grid = {2, 3, 5};
  run_.record.around = &around;
  std::string message;
  EXPECT_EQ(failure_of_run(&message), ErrorKind::kUsage);
  EXPECT_THAT(message, HasSubstr("--around"));
  EXPECT_THAT(message, HasSubstr("2,3,4"));
  EXPECT_THAT(message, HasSubstr("2,3,5"));
  around = plan();
  around.num_steps = kSteps + 1;
  EXPECT_EQ(failure_of_run(&message), ErrorKind::kUsage);
  around = plan();
  around.model.heads = 3;
  EXPECT_EQ(failure_of_run(&message), ErrorKind::kUsage);
  EXPECT_FALSE(std::filesystem::exists(parts()));
}

TEST_F(EffectRun, EffectsOfSomeLayersAreRefused) {
  run_.record.layers = "1";
  std::string message;
  EXPECT_EQ(failure_of_run(&message), ErrorKind::kUsage);
  EXPECT_THAT(message, HasSubstr("--record-layers all"));
}

TEST_F(EffectRun, StoppedAfterAnyStepItEndsInTheSameProfile) {
  const Plan around = plan();
  for (const Plan* in_force : {static_cast<const Plan*>(nullptr), &around}) {
    run_.record.around = in_force;
    run_.record.around_hash = in_force == nullptr ? "" : "beef";
    run_.record.sensitivity = 2;
    run_.out.path = temp_ / (in_force == nullptr ? "run.h5" : "around.h5");
    const Profile expected = truth();
    std::filesystem::remove(temp_ / "truth.h5");
    for (int64_t finished = 1; finished < kPrompts * kSteps; ++finished) run_until(finished);
    profile_trajectories(run_, {});
    expect_same(read_profile(run_.out.path), expected);
  }
}

TEST_F(EffectRun, ThreadsChangeNothingButRounding) {
  run_.record.sensitivity = kSteps;
  const Profile two = truth();
  std::filesystem::remove(temp_ / "truth.h5");
  ThreadPool one_thread(1);
  run_.pool = &one_thread;
  const Profile one = truth();
  for (const auto& [name, array] : two.arrays) {
    if (name.find("effect") == std::string::npos && name.find("error") == std::string::npos) {
      continue;
    }
    EXPECT_TRUE(testing::near(one.arrays.at(name).values, array.values, {.max_scaled = 1e-5}))
        << name;
  }
}

TEST(EffectSteps, OneOfEachEqualRun) {
  const std::vector<int64_t> steps = {0, 2, 3, 5, 7, 8, 9, 11, 12, 14};
  for (int64_t prompt = 0; prompt < 50; ++prompt) {
    for (int64_t count = 1; count <= 12; ++count) {
      const std::vector<int64_t> chosen = effect_steps(steps, {}, count, prompt);
      ASSERT_EQ(std::ssize(chosen), std::min<int64_t>(count, 10));
      for (int64_t i = 0; i < std::ssize(chosen); ++i) {
        const auto place = std::find(steps.begin(), steps.end(), chosen[i]) - steps.begin();
        ASSERT_LT(place, 10);
        const double run = 10.0 / static_cast<double>(std::ssize(chosen));
        EXPECT_GE(static_cast<double>(place), std::floor(run * static_cast<double>(i)));
        EXPECT_LT(static_cast<double>(place), run * static_cast<double>(i + 1));
      }
      EXPECT_EQ(std::set(chosen.begin(), chosen.end()).size(), chosen.size());
    }
  }
}

// Three times as many prompts as there are steps in a run are enough.
TEST(EffectSteps, PromptsShareOutAllSteps) {
  for (int64_t all = 1; all <= 60; ++all) {
    std::vector<int64_t> steps(all);
    std::iota(steps.begin(), steps.end(), 0);
    for (int64_t count = 1; count <= std::min<int64_t>(all, 6); ++count) {
      std::set<int64_t> seen;
      const int64_t prompts = 3 * ((all + count - 1) / count);
      for (int64_t prompt = 0; prompt < prompts; ++prompt) {
        for (const int64_t step : effect_steps(steps, {}, count, prompt)) seen.insert(step);
      }
      EXPECT_EQ(std::ssize(seen), all) << count << " of " << all;
    }
  }
}

}  // namespace
}  // namespace sparsescope
