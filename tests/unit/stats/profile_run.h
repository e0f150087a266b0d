// A small run on the transformer without weights, and the comparison of two profiles bit by bit.
#pragma once

#include <gtest/gtest.h>

#include <bit>

#include "fake_transformer.h"
#include "stats/profile_runner.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {

namespace fs = std::filesystem;

class ProfileRun : public ::testing::Test {
 protected:
  static constexpr int64_t kPrompts = 2, kSteps = 3;

  ProfileRun() {
    for (int64_t i = 0; i < kPrompts; ++i) {
      prompts_.names.push_back("prompt " + std::to_string(i));
      prompts_.conditional.push_back({{1, 1, 1}, {0.5f + static_cast<float>(i)}});
      prompts_.unconditional.push_back({{1, 1, 1}, {0.0f}});
    }
    folder_.root = "models/fake";
    run_.model = &model_;
    run_.folder = &folder_;
    run_.prompts = &prompts_;
    run_.sampling.steps = kSteps;
    run_.sampling.guidance = 3.0;
    run_.sampling.scheduler = "unipc";  // remembers earlier steps: the state must carry them
    run_.sampling.seed = 11;
    run_.sampling.latent_shape = {1, FakeTransformer::kChannels, 2, 3, 4};
    run_.record.tile = {2, 2, 2};
    run_.record.partitions = {parse_partition("temporal:1"), parse_partition("spatial:3,2")};
    run_.record.maps = "step=1 layer=1";
    run_.out.path = temp_ / "run.h5";
    run_.pool = &pool_;
  }

  fs::path parts() const { return parts_folder_of(run_.out.path); }

  // Stops after this many finished steps.
  void run_until(int64_t finished) {
    int64_t done = 0;
    RunMonitor monitor;
    monitor.progress = [&](int64_t value, int64_t, const std::string&) { done = value; };
    monitor.stop_requested = [&] { return done >= finished; };
    try {
      profile_trajectories(run_, monitor);
      ADD_FAILURE() << "was not stopped";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInterrupted) << error.what();
    }
    EXPECT_FALSE(fs::exists(run_.out.path));
  }

  // The profile of an uninterrupted run with the same settings.
  Profile truth() {
    TrajectoryRun run = run_;
    run.out.path = temp_ / "truth.h5";
    profile_trajectories(run, {});
    return read_profile(run.out.path);
  }

  ErrorKind failure_of_run(std::string* message = nullptr) {
    try {
      profile_trajectories(run_, {});
    } catch (const Error& error) {
      if (message != nullptr) *message = error.what();
      return error.kind();
    }
    return ErrorKind::kInternal;
  }

  TempDir temp_;
  FakeTransformer model_;
  CheckpointFolder folder_;
  PromptSet prompts_;
  ThreadPool pool_{2};
  TrajectoryRun run_;
};

inline std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

inline void expect_same(const Profile& found, const Profile& expected) {
  EXPECT_EQ(found.recorded, expected.recorded);
  ASSERT_EQ(found.arrays.size(), expected.arrays.size());
  for (const auto& [name, array] : expected.arrays) {
    EXPECT_EQ(bits_of(found.arrays.at(name).values), bits_of(array.values)) << name;
  }
  ASSERT_EQ(found.maps.size(), expected.maps.size());
  for (const auto& [name, map] : expected.maps) {
    EXPECT_EQ(bits_of(found.maps.at(name)), bits_of(map)) << name;
  }
}

}  // namespace sparsescope::testing
