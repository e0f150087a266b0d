// Whole runs on a transformer without weights: what is recorded, and that a run that is stopped,
// damaged or repeated ends in the same profile.
#include "stats/profile_runner.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "profile_run.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::expect_same;
using testing::FakeTransformer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ProfileRun;

TEST_F(ProfileRun, RecordsEverySiteLawfully) {
  const ProfileOutcome summary = profile_trajectories(run_, {});
  EXPECT_EQ(summary.sites, kPrompts * 2 * kSteps * FakeTransformer::kLayers);
  EXPECT_EQ(model_.calls, kPrompts * 2 * kSteps);
  EXPECT_FALSE(fs::exists(parts()));
  EXPECT_THAT(check_profile(run_.out.path), IsEmpty());

  const Profile profile = read_profile(run_.out.path);
  EXPECT_EQ(profile.branches, 2);
  EXPECT_THAT(profile.recorded, ::testing::Each(1));
  EXPECT_EQ(profile.sigma.size(), 3u);
  EXPECT_EQ(profile.maps.size(), static_cast<size_t>(kPrompts * 2));
  EXPECT_TRUE(profile.maps.contains("p1_b1_s1_l1"));
  EXPECT_EQ(profile.manifest.at("prompts"), Json({"prompt 0", "prompt 1"}));
  EXPECT_EQ(profile.manifest.at("guidance"), 3.0);
  EXPECT_EQ(profile.manifest.at("partitions"), Json({"temporal:1", "spatial:3,2"}));
}

// key_mass is the row-weighted mean of the map's rows: two independent ways to the same numbers.
TEST_F(ProfileRun, MapsAgreeWithKeyMass) {
  profile_trajectories(run_, {});
  const Profile profile = read_profile(run_.out.path);
  const TileGrid tiles(profile.grid, profile.tile);
  const int64_t n = tiles.num_tiles();
  const std::vector<float>& map = profile.maps.at("p0_b0_s1_l1");
  for (int64_t head = 0; head < profile.heads; ++head) {
    const float* key_mass = profile.at("key_mass", 0, 0, 1, 1, head);
    for (int64_t j = 0; j < n; ++j) {
      double mass = 0;
      for (int64_t i = 0; i < n; ++i) {
        mass += static_cast<double>(tiles.size(i)) * map[(head * n + i) * n + j];
      }
      EXPECT_NEAR(key_mass[j], mass / static_cast<double>(profile.grid.tokens()), 1e-6);
    }
  }
}

TEST_F(ProfileRun, MapsAgreeWithOffsetMass) {
  profile_trajectories(run_, {});
  const Profile profile = read_profile(run_.out.path);
  const TileGrid tiles(profile.grid, profile.tile);
  const int64_t n = tiles.num_tiles(), nh = tiles.tiles_h(), nw = tiles.tiles_w();
  const std::vector<float>& map = profile.maps.at("p0_b0_s1_l1");
  for (int64_t head = 0; head < profile.heads; ++head) {
    std::vector<double> expected(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      const Box query = tiles.box(i);
      for (int64_t j = 0; j < n; ++j) {
        const Box key = tiles.box(j);
        const int64_t dt = std::abs(query.t0 - key.t0) / profile.tile.t,
                      dh = std::abs(query.h0 - key.h0) / profile.tile.h,
                      dw = std::abs(query.w0 - key.w0) / profile.tile.w;
        expected[static_cast<size_t>((dt * nh + dh) * nw + dw)] +=
            static_cast<double>(query.volume()) * map[(head * n + i) * n + j];
      }
    }
    const float* found = profile.at("offset_mass", 0, 0, 1, 1, head);
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_NEAR(found[i], expected[i] / static_cast<double>(profile.grid.tokens()), 1e-6);
    }
  }
}

TEST_F(ProfileRun, LeavesOutWhatIsNotAskedFor) {
  run_.record.steps = "0";
  run_.record.layers = "1";
  run_.record.maps = "step=1 layer=0 head=1";
  profile_trajectories(run_, {});
  const Profile profile = read_profile(run_.out.path);

  EXPECT_EQ(model_.calls, kPrompts * 2 * 2) << "steps behind the last recorded one are not sampled";
  for (int64_t step = 0; step < kSteps; ++step) {
    for (int64_t layer = 0; layer < 2; ++layer) {
      const bool asked = (step == 0 && layer == 1) || (step == 1 && layer == 0);
      EXPECT_EQ(profile.is_recorded(0, 0, step, layer), asked) << step << ", " << layer;
      EXPECT_EQ(std::isnan(*profile.at("entropy", 0, 1, step, layer, 0)), !asked);
    }
  }
  const std::vector<float>& map = profile.maps.at("p0_b0_s1_l0");
  EXPECT_TRUE(std::isnan(map.front()));
  EXPECT_GT(map.back(), 0.0f);
  EXPECT_THAT(check_profile(run_.out.path), IsEmpty());
}

TEST_F(ProfileRun, GoesOnAfterAStop) {
  const Profile expected = truth();
  for (const int64_t finished : {1, 4}) {
    run_until(finished);
    EXPECT_TRUE(fs::exists(parts()));
  }
  model_.calls = 0;
  const ProfileOutcome summary = profile_trajectories(run_, {});

  EXPECT_EQ(summary.resumed_steps, 4);
  EXPECT_EQ(model_.calls, 2 * (kPrompts * kSteps - 4));
  EXPECT_FALSE(fs::exists(parts()));
  expect_same(read_profile(run_.out.path), expected);
}

TEST_F(ProfileRun, DoesDamagedPartsAgain) {
  const Profile expected = truth();
  run_until(3);
  const fs::path part = parts() / "p0000_s0001.safetensors";
  std::string content = testing::read_file(part);
  content[content.size() - 5] ^= 1;
  temp_.write("run.h5.parts/p0000_s0001.safetensors", content);
  temp_.write("run.h5.parts/p0000_s0002.safetensors", "cut");
  std::vector<std::string> notes;
  RunMonitor monitor;
  monitor.note = [&](const std::string& note) { notes.push_back(note); };
  const ProfileOutcome summary = profile_trajectories(run_, monitor);

  EXPECT_EQ(summary.resumed_steps, 1);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("p0000_s0001"), HasSubstr("p0000_s0002")));
  expect_same(read_profile(run_.out.path), expected);
}

TEST_F(ProfileRun, RefusesPartsOfAnotherPlace) {
  run_until(2);
  fs::copy_file(parts() / "p0000_s0000.safetensors", parts() / "p0000_s0001.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, 1);
}

TEST_F(ProfileRun, NamesWhatDiffersFromTheRunInTheFolder) {
  run_until(2);
  run_.sampling.seed = 12;
  run_.sampling.guidance = 4.0;
  std::string message;
  EXPECT_EQ(failure_of_run(&message), ErrorKind::kUsage);
  EXPECT_THAT(message, HasSubstr("seed was 11 and is 12"));
  EXPECT_THAT(message, HasSubstr("guidance was 3.0 and is 4.0"));
  EXPECT_THAT(message, HasSubstr("--force"));
  EXPECT_TRUE(fs::exists(parts() / "p0000_s0001.safetensors"));

  run_.out.replace = true;
  EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, 0);
}

TEST_F(ProfileRun, BeginsAnewWhereAskedTo) {
  run_until(2);
  run_.out.resume = false;
  EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, 0);
}

TEST_F(ProfileRun, ForceGoesOnWithItsOwnParts) {
  temp_.write("run.h5", "an older profile");
  EXPECT_EQ(failure_of_run(), ErrorKind::kUsage);
  run_.out.replace = true;
  int64_t done = 0;
  RunMonitor monitor;
  monitor.progress = [&](int64_t value, int64_t, const std::string&) { done = value; };
  monitor.stop_requested = [&] { return done >= 3; };
  EXPECT_THROW(profile_trajectories(run_, monitor), Error);
  EXPECT_EQ(testing::read_file(run_.out.path), "an older profile");
  EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, 3);
}

TEST_F(ProfileRun, KilledJustBeforeTheEndItIsComplete) {
  run_until(3);
  fs::copy(parts(), temp_ / "kept", fs::copy_options::recursive);
  profile_trajectories(run_, {});
  fs::rename(temp_ / "kept", parts());  // as if killed before the folder was removed
  model_.calls = 0;
  const ProfileOutcome summary = profile_trajectories(run_, {});

  EXPECT_EQ(model_.calls, 0);
  EXPECT_EQ(summary.sites, kPrompts * 2 * kSteps * FakeTransformer::kLayers);
  EXPECT_FALSE(fs::exists(parts()));
}

TEST_F(ProfileRun, AStartThatLeftOnlyATemporaryFileIsNoOtherRun) {
  temp_.write("run.h5.parts/.run.json.1.0.tmp", "{");
  EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, 0);
}

TEST_F(ProfileRun, StartsFromGivenLatents) {
  for (int64_t i = 0; i < kPrompts; ++i) {
    HostTensor latent = HostTensor::zeros(run_.sampling.latent_shape);
    for (size_t j = 0; j < latent.values.size(); ++j) latent.values[j] = static_cast<float>(j % 5);
    run_.latents.push_back(latent);
  }
  const Profile given = truth();
  run_.sampling.seed = 99;  // decides nothing any more
  profile_trajectories(run_, {});
  expect_same(read_profile(run_.out.path), given);

  run_.latents.pop_back();
  run_.out.replace = true;
  EXPECT_EQ(failure_of_run(), ErrorKind::kData);
}

TEST_F(ProfileRun, GuidanceNeedsUnconditionalEmbeddings) {
  prompts_.unconditional.clear();
  EXPECT_EQ(failure_of_run(), ErrorKind::kUsage);
  run_.sampling.guidance = 1.0;
  profile_trajectories(run_, {});
  EXPECT_EQ(read_profile(run_.out.path).branches, 1);
}

TEST(RowsPerTile, AllUpToTheContractsLimit) {
  EXPECT_EQ(default_rows_per_tile({8, 32, 32}), 0);
  EXPECT_EQ(default_rows_per_tile({9, 32, 32}), 4);
}

}  // namespace
}  // namespace sparsescope
