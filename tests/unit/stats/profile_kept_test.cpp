// What a run keeps whole, judged by other ways to the same numbers: a softmax over the kept q and k
// gives the map, a trajectory sampled beside the run ends at the kept latents, and a plain product
// with the codec's matrix gives the video.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "capture/dense_hook.h"
#include "checkpoint/safetensors.h"
#include "core/hdf5_file.h"
#include "profile_run.h"
#include "stats/profile_merge.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::bits_of;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::error_of;
using testing::expect_same;
using testing::FakeTransformer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void expect_same_kept(const KeptData& found, const KeptData& expected) {
  ASSERT_EQ(found.calls.size(), expected.calls.size());
  for (const auto& [name, call] : expected.calls) {
    ASSERT_TRUE(found.calls.contains(name)) << name;
    const KeptCall& other = found.calls.at(name);
    EXPECT_EQ(other.heads, call.heads);
    EXPECT_EQ(other.scale, call.scale);
    for (size_t i = 0; i < kQkvNames.size(); ++i) {
      EXPECT_EQ(other.qkv[i].shape, call.qkv[i].shape);
      EXPECT_EQ(bits_of(other.qkv[i].read()), bits_of(call.qkv[i].read())) << name;
    }
  }
  ASSERT_EQ(found.latents.size(), expected.latents.size());
  for (const auto& [prompt, latents] : expected.latents) {
    EXPECT_EQ(bits_of(found.latents.at(prompt).read()), bits_of(latents.read()));
  }
  ASSERT_EQ(found.videos.size(), expected.videos.size());
  for (const auto& [prompt, video] : expected.videos) {
    EXPECT_EQ(found.videos.at(prompt).read(), video.read());
  }
}

class KeptProfile : public testing::ProfileRun {
 protected:
  static constexpr int64_t kPatch = 2, kWidth = 3 * kPatch * kPatch;

  KeptProfile() {
    run_.record.keep_qkv = "step=1 layer=1";
    run_.record.keep_videos = true;
  }

  // 4 channels to patches of 2 x 2; large enough that some pixels are clipped.
  void give_codec() {
    for (int64_t j = 0; j < kWidth; ++j) mean_.push_back(0.1f * static_cast<float>(j % 5) - 0.2f);
    for (int64_t i = 0; i < FakeTransformer::kChannels * kWidth; ++i) {
      basis_.push_back(std::sin(static_cast<float>(3 * i + 1)));
    }
    std_ = {0.5f, 1.0f, 1.5f, 2.0f};
    write_safetensors(
        temp_.write("codec/config.json",
                    R"({"_class_name": "LinearCodec", "patch": 2, "channels": 4,
                        "temporal_stride": 1, "spatial_stride": 2})")
                .parent_path() /
            "model.safetensors",
        {{"mean", Dtype::kF32, {kWidth}, bytes_of(mean_)},
         {"basis", Dtype::kF32, {FakeTransformer::kChannels, kWidth}, bytes_of(basis_)},
         {"std", Dtype::kF32, {FakeTransformer::kChannels}, bytes_of(std_)}},
        {}, false);
    folder_.codec = temp_ / "codec";
  }

  Profile sample() {
    profile_trajectories(run_, {});
    EXPECT_THAT(check_profile(run_.out.path), IsEmpty());
    return read_profile(run_.out.path);
  }

  std::vector<float> mean_, basis_, std_;
};

// Tile masses of one head from q and k, in fp64.
std::vector<double> naive_map(const TileGrid& tiles, const KeptCall& call, int64_t head) {
  const int64_t S = call.qkv[0].shape[1], D = call.qkv[0].shape[2], N = tiles.num_tiles();
  const std::vector<float> q = call.qkv[0].read(), k = call.qkv[1].read();
  const auto tile_of = [&](int64_t s) {
    const TokenGrid& grid = tiles.grid();
    const int64_t t = s / (grid.h * grid.w), h = s / grid.w % grid.h, w = s % grid.w;
    return (t / 2 * tiles.tiles_h() + h / 2) * tiles.tiles_w() + w / 2;  // tiles of 2, 2, 2
  };
  std::vector<double> map(static_cast<size_t>(N * N));
  for (int64_t r = 0; r < S; ++r) {
    std::vector<double> weights;
    double sum = 0;
    for (int64_t c = 0; c < S; ++c) {
      double dot = 0;
      for (int64_t d = 0; d < D; ++d) {
        dot += static_cast<double>(q[(head * S + r) * D + d]) * k[(head * S + c) * D + d];
      }
      weights.push_back(std::exp(call.scale * dot));
      sum += weights.back();
    }
    const auto rows = static_cast<double>(tiles.size(tile_of(r)));
    for (int64_t c = 0; c < S; ++c) {
      map[tile_of(r) * N + tile_of(c)] += weights[static_cast<size_t>(c)] / sum / rows;
    }
  }
  return map;
}

TEST_F(KeptProfile, QAndKGiveTheMapOfTheSite) {
  const Profile profile = sample();
  const TileGrid tiles(profile.grid, profile.tile);
  ASSERT_EQ(profile.kept.calls.size(), static_cast<size_t>(kPrompts * 2));
  for (const auto& [name, call] : profile.kept.calls) {
    EXPECT_THAT(call.heads, ElementsAre(0, 1));
    EXPECT_THAT(call.qkv[2].shape, ElementsAre(2, 24, FakeTransformer::kHeadDim));
    EXPECT_EQ(call.scale, 0.5);
    const std::vector<float>& map = profile.maps.at(name);
    for (int64_t head = 0; head < profile.heads; ++head) {
      const std::vector<double> expected = naive_map(tiles, call, head);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(map[static_cast<size_t>(head) * expected.size() + i], expected[i], 1e-5);
      }
    }
  }
}

TEST_F(KeptProfile, LatentsAreWhereTheTrajectoryEnds) {
  run_.record.steps = "0";
  run_.record.keep_qkv = "";
  run_.record.maps = "";
  const Profile profile = sample();
  EXPECT_EQ(model_.calls, kPrompts * 2 * kSteps) << "the whole trajectory is sampled";
  EXPECT_FALSE(profile.is_recorded(0, 0, 1, 0));
  const Denoiser denoiser(model_, folder_, run_.sampling);
  DenseHook dense(Impl::kReference, pool_);
  for (int64_t prompt = 0; prompt < kPrompts; ++prompt) {
    TrajectoryState state;
    state.latents = denoiser.initial_noise(prompt);
    for (int64_t step = 0; step < kSteps; ++step) denoiser.step(state, prompts_, prompt, dense);
    const KeptArray<float>& kept = profile.kept.latents.at(prompt);
    EXPECT_THAT(kept.shape, ElementsAre(FakeTransformer::kChannels, 2, 3, 4));
    const std::vector<float> values = kept.read();
    ASSERT_EQ(values.size(), state.latents.values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], state.latents.values[i], 1e-5);
    }
  }
}

TEST_F(KeptProfile, VideosAreTheLatentsDecoded) {
  give_codec();
  const Profile profile = sample();
  const int64_t F = 2, rows = 3, columns = 4, C = FakeTransformer::kChannels;
  int64_t black = 0, inside = 0;
  for (int64_t prompt = 0; prompt < kPrompts; ++prompt) {
    const KeptArray<uint8_t>& video = profile.kept.videos.at(prompt);
    ASSERT_THAT(video.shape, ElementsAre(F, rows * kPatch, columns * kPatch, 3));
    const std::vector<float> z = profile.kept.latents.at(prompt).read();
    const std::vector<uint8_t> bytes = video.read();
    for (size_t i = 0; i < bytes.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const int64_t colour = at % 3, x = at / 3 % (columns * kPatch),
                    y = at / 3 / (columns * kPatch) % (rows * kPatch),
                    f = at / 3 / (columns * kPatch) / (rows * kPatch);
      const int64_t j = (colour * kPatch + y % kPatch) * kPatch + x % kPatch;
      double p = mean_[static_cast<size_t>(j)];
      for (int64_t c = 0; c < C; ++c) {
        p += static_cast<double>(z[((c * F + f) * rows + y / kPatch) * columns + x / kPatch]) *
             std_[static_cast<size_t>(c)] * basis_[static_cast<size_t>(c * kWidth + j)];
      }
      EXPECT_NEAR(bytes[i], std::clamp((p + 1) * 127.5, 0.0, 255.0), 0.51);
      black += bytes[i] == 0;
      inside += bytes[i] > 0 && bytes[i] < 255;
    }
  }
  EXPECT_GT(black, 0);
  EXPECT_GT(inside, 0);
}

TEST_F(KeptProfile, WithoutACodecANoteSaysSo) {
  std::vector<std::string> notes;
  RunMonitor monitor;
  monitor.note = [&](const std::string& note) { notes.push_back(note); };
  profile_trajectories(run_, monitor);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("no codec")));
  const Profile profile = read_profile(run_.out.path);
  EXPECT_EQ(profile.kept.latents.size(), static_cast<size_t>(kPrompts));
  EXPECT_THAT(profile.kept.videos, IsEmpty());
}

TEST_F(KeptProfile, HeadsThatWereNotAskedForAreMissingInTheFile) {
  const Profile all = truth();
  run_.record.keep_qkv += " head=1";
  const Profile one = sample();
  const KeptCall& call = one.kept.calls.at("p1_b0_s1_l1");
  EXPECT_THAT(call.heads, ElementsAre(1));
  const std::vector<float> both = all.kept.calls.at("p1_b0_s1_l1").qkv[1].read();
  EXPECT_EQ(call.qkv[1].read(),
            std::vector<float>(both.begin() + std::ssize(both) / 2, both.end()));

  const Hdf5File file = Hdf5File::open(run_.out.path);
  const std::string group = "/qkv/p1_b0_s1_l1";
  std::vector<float> stored = file.read<float>(group + "/k", {2, 24, FakeTransformer::kHeadDim});
  stored.resize(stored.size() / 2);
  EXPECT_THAT(stored, Each(::testing::IsNan()));
  EXPECT_EQ(file.int64s_attribute(group, "heads", 1).front(), 1);
  EXPECT_EQ(file.int64_attribute(group, "prefix"), 0);
  EXPECT_THAT(file.scales(group + "/k"), ElementsAre("/head", "/token", "/channel"));
  EXPECT_THAT(file.scales("/latents/p0"),
              ElementsAre("/channel", "/frame", "/latent_height", "/latent_width"));
}

TEST_F(KeptProfile, AScaleOfAnotherLengthStandsInTheGroup) {
  Profile profile = sample();
  for (auto& [name, call] : profile.kept.calls) {  // 6 channels instead of 4
    for (KeptArray<float>& array : call.qkv) {
      array = {{2, 24, 6}, [] { return std::vector<float>(2 * 24 * 6, 0.5f); }};
    }
  }
  write_profile(temp_ / "other.h5", profile, false);
  const Hdf5File file = Hdf5File::open(temp_ / "other.h5");
  EXPECT_THAT(file.scales("/qkv/p0_b0_s1_l1/q"), ElementsAre("/head", "/token", "/channel"));
  EXPECT_EQ(file.scales("/latents/p0").front(), "/latents/channel");
  EXPECT_EQ(file.info("/latents/channel").shape, std::vector<int64_t>{4});
  EXPECT_THAT(check_profile(temp_ / "other.h5"), IsEmpty());
}

TEST_F(KeptProfile, WithoutTheOptionsNothingIsAdded) {
  run_.record.keep_qkv = "";
  run_.record.keep_videos = false;
  const Profile profile = sample();
  EXPECT_TRUE(profile.kept.empty());
  EXPECT_FALSE(profile.manifest.contains("keep_qkv"));
  EXPECT_FALSE(profile.manifest.contains("keep_videos"));
  const Hdf5File file = Hdf5File::open(run_.out.path);
  for (const char* group : {"/qkv", "/latents", "/videos"}) EXPECT_FALSE(file.exists(group));
}

TEST_F(KeptProfile, WhatIsKeptChangesNoStatistic) {
  run_.record.keep_qkv = "";
  run_.record.keep_videos = false;
  const Profile plain = truth();
  run_.record.keep_qkv = "step=0-1";
  run_.record.keep_videos = true;
  const Profile profile = sample();
  EXPECT_EQ(profile.manifest.at("keep_qkv"), "step=0-1");
  EXPECT_EQ(profile.manifest.at("keep_videos"), true);
  expect_same(profile, plain);
}

TEST_F(KeptProfile, AStoppedRunKeepsTheSame) {
  give_codec();
  const Profile expected = truth();
  for (const int64_t finished : {2, 4}) run_until(finished);
  const Profile profile = sample();
  expect_same_kept(profile.kept, expected.kept);
  EXPECT_FALSE(fs::exists(parts()));
}

TEST_F(KeptProfile, ADamagedPartIsSampledAgain) {
  const Profile expected = truth();
  run_until(2);
  std::string content = testing::read_file(parts() / "p0000_s0001.safetensors");
  content[content.size() - 5] ^= 1;
  temp_.write("run.h5.parts/p0000_s0001.safetensors", content);
  EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, 1);
  expect_same_kept(read_profile(run_.out.path).kept, expected.kept);
}

class KeptMerge : public KeptProfile {
 protected:
  fs::path shard(const std::string& name, const std::string& prompts, const std::string& steps,
                 const std::string& keep_qkv) {
    TrajectoryRun run = run_;
    run.out.path = temp_ / name;
    run.record.prompts = prompts;
    run.record.steps = steps;
    run.record.keep_qkv = keep_qkv;
    profile_trajectories(run, {});
    return run.out.path;
  }

  Profile merged(const std::vector<fs::path>& files) {
    write_profile(temp_ / "merged.h5", merge_profiles(files), true);
    EXPECT_THAT(check_profile(temp_ / "merged.h5"), IsEmpty());
    return read_profile(temp_ / "merged.h5");
  }
};

TEST_F(KeptMerge, ShardsJoinToTheWholeInEveryOrder) {
  give_codec();
  const Profile whole = truth();
  const fs::path a = shard("a.h5", "0", "all", "step=1 layer=1"),
                 b = shard("b.h5", "1", "0", "step=1 layer=1 head=0"),
                 c = shard("c.h5", "1", "1-2", "step=1 layer=1 head=1");
  expect_same_kept(merged({a, b, c}).kept, whole.kept);
  const std::string bytes = testing::read_file(temp_ / "merged.h5");
  expect_same_kept(merged({c, b, a}).kept, whole.kept);
  EXPECT_TRUE(testing::read_file(temp_ / "merged.h5") == bytes);
}

TEST_F(KeptMerge, APromptTakesWhatItKeptToItsNewPlace) {
  const fs::path a = shard("a.h5", "1", "all", "step=1 layer=1");
  run_.sampling.seed = 3;  // stands before the others
  const fs::path b = shard("b.h5", "0", "all", "step=0 layer=0");
  const Profile joined = merged({a, b});
  const Profile first = read_profile(a);
  ASSERT_EQ(joined.prompts, 4);
  EXPECT_EQ(joined.kept.latents.at(3).read(), first.kept.latents.at(1).read());
  EXPECT_EQ(joined.kept.calls.at("p3_b1_s1_l1").qkv[2].read(),
            first.kept.calls.at("p1_b1_s1_l1").qkv[2].read());
  EXPECT_TRUE(joined.kept.calls.contains("p0_b0_s0_l0"));
  EXPECT_EQ(joined.kept.latents.size(), 2u);
}

TEST_F(KeptMerge, AContradictionIsRefused) {
  Profile one = sample(), other = one;
  const auto refusal = [&] {
    return error_of(ErrorKind::kData, [&] {
      ProfileMerger merger;
      merger.add(one, "a.h5", "01");
      merger.add(other, "b.h5", "02");
      merger.take();
    });
  };
  KeptArray<float>& values = other.kept.calls.at("p0_b1_s1_l1").qkv[2];
  values.read = [read = values.read] {
    std::vector<float> changed = read();
    changed.back() += 1;
    return changed;
  };
  EXPECT_THAT(refusal(), HasSubstr("b.h5: /qkv/p0_b1_s1_l1/v: expected the same values of head 1"));
  other.kept = one.kept;
  other.kept.calls.at("p0_b1_s1_l1").scale = 1;
  EXPECT_THAT(refusal(), HasSubstr("b.h5: /qkv/p0_b1_s1_l1: expected the same tokens"));
  other.kept = one.kept;
  other.kept.latents.at(1).read = [] { return std::vector<float>(96); };
  EXPECT_THAT(refusal(), HasSubstr("b.h5: /latents/p1: expected the same values"));
}

TEST_F(KeptProfile, CheckNamesWhatIsWrong) {
  give_codec();
  const Profile right = sample();
  const auto findings = [&](const auto& change) {
    Profile wrong = right;
    change(wrong.kept);
    write_profile(temp_ / "wrong.h5", wrong, true);
    return check_profile(temp_ / "wrong.h5");
  };
  EXPECT_THAT(findings([](KeptData&) {}), IsEmpty());
  EXPECT_THAT(
      findings([](KeptData& kept) { kept.calls["p0_b0_s7_l1"] = kept.calls.at("p0_b0_s1_l1"); }),
      ElementsAre(HasSubstr("/qkv/p0_b0_s7_l1: belongs to no recorded site")));
  EXPECT_THAT(findings([](KeptData& kept) {
                KeptArray<float>& k = kept.calls.at("p0_b0_s1_l1").qkv[1];
                k.read = [read = k.read] {
                  std::vector<float> values = read();
                  values[3] = std::numeric_limits<float>::infinity();
                  return values;
                };
              }),
              ElementsAre(HasSubstr("/qkv/p0_b0_s1_l1/k: value 3 is inf")));
  EXPECT_THAT(findings([](KeptData& kept) { kept.calls.at("p0_b0_s1_l1").prefix = 1; }),
              ElementsAre(HasSubstr("/qkv/p0_b0_s1_l1/q: expected [2, 25, channels]")));
  EXPECT_THAT(findings([](KeptData& kept) { kept.calls.at("p0_b0_s1_l1").scale = 0; }),
              ElementsAre(HasSubstr("the attribute scale is 0")));
  EXPECT_THAT(findings([](KeptData& kept) { kept.latents[5] = kept.latents.at(0); }),
              ElementsAre(HasSubstr("/latents/p5: expected a prompt below 2")));
  EXPECT_THAT(findings([](KeptData& kept) {
                kept.latents.at(0).shape = {4, 2, 4, 3};
                kept.latents.at(1).shape = {4, 2, 4, 3};
              }),
              Each(AllOf(HasSubstr("/latents/p"), HasSubstr("expected the extents [4, 2, 3, 4]"))));
  EXPECT_THAT(findings([](KeptData& kept) { kept.latents.erase(1); }),
              ElementsAre(HasSubstr("/videos/p1: expected its latents")));
}

}  // namespace
}  // namespace sparsescope
