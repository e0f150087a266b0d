// Profiles of captured q, k, v, judged by attention that is uniform by construction (q = 0): every
// statistic then follows from counting tokens.
#include "stats/profile_qkv.h"

#include <gmock/gmock.h>

#include <cmath>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "stats/head_classes.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempDir;

class QkvProfile : public ::testing::Test {
 protected:
  QkvProfile() {
    run_.grid = {2, 3, 5};
    run_.record.tile = {2, 2, 2};  // 6 tiles of 8, 8, 4, 4, 4, 2 tokens
    run_.out.path = temp_ / "run.h5";
    run_.pool = &pool_;
  }

  // q is zero, so that every key gets the same probability.
  void write_capture(const std::string& name, const std::vector<int64_t>& shape,
                     const std::map<std::string, std::string>& metadata = {}) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    const std::vector<float> q(static_cast<size_t>(count), 0.0f);
    std::vector<float> k;
    for (int64_t i = 0; i < count; ++i) k.push_back(std::sin(static_cast<float>(i)));
    write_safetensors(temp_ / name,
                      {{"q", Dtype::kF32, shape, bytes_of(q)},
                       {"k", Dtype::kF32, shape, bytes_of(k)},
                       {"v", Dtype::kF32, shape, bytes_of(k)}},
                      metadata, false);
    run_.files.push_back(temp_ / name);
  }

  std::string refusal(ErrorKind kind) {
    try {
      profile_qkv(run_, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "nothing was refused";
  }

  TempDir temp_;
  ThreadPool pool_{2};
  QkvRun run_;
};

TEST_F(QkvProfile, UniformAttentionCountsTokens) {
  write_capture("a.safetensors", {1, 2, 30, 4});
  profile_qkv(run_, {});
  const Profile profile = read_profile(run_.out.path);

  const double sizes[] = {8, 8, 4, 4, 4, 2};
  for (int64_t head = 0; head < 2; ++head) {
    const float* key_mass = profile.at("key_mass", 0, 0, 0, 0, head);
    for (int j = 0; j < 6; ++j) EXPECT_NEAR(key_mass[j], sizes[j] / 30, 1e-6);
    EXPECT_NEAR(*profile.at("entropy", 0, 0, 0, 0, head), std::log(30.0), 1e-5);
    EXPECT_NEAR(*profile.at("row_overlap", 0, 0, 0, 0, head), 1.0, 1e-5);
    EXPECT_EQ(*profile.at("prefix_mass", 0, 0, 0, 0, head), 0.0f);
    // Half the tiles: the three largest hold 20 of 30 tokens.
    EXPECT_NEAR(profile.at("coverage_row", 0, 0, 0, 0, head)[9], 20.0 / 30, 1e-6);
    EXPECT_NEAR(profile.at("mass_dt", 0, 0, 0, 0, head)[0], 0.5, 1e-6);
    const std::vector<float> even = even_offset_mass(TileGrid(profile.grid, profile.tile));
    const float* offsets = profile.at("offset_mass", 0, 0, 0, 0, head);
    for (size_t i = 0; i < even.size(); ++i) EXPECT_NEAR(offsets[i], even[i], 1e-6) << i;
    // Queries without a direction are like none.
    EXPECT_EQ(profile.at("window_cosine", 0, 0, 0, 0, head)[4], 0.0f);
  }
  EXPECT_THAT(check_profile(run_.out.path), IsEmpty());
}

TEST_F(QkvProfile, TextTokensTakeTheirShare) {
  run_.prefix = 3;
  run_.suffix = 7;
  write_capture("a.safetensors", {1, 1, 40, 4});
  profile_qkv(run_, {});
  const Profile profile = read_profile(run_.out.path);

  EXPECT_NEAR(*profile.at("prefix_mass", 0, 0, 0, 0, 0), 0.25, 1e-6);
  EXPECT_NEAR(profile.at("key_mass", 0, 0, 0, 0, 0)[0], 8.0 / 40, 1e-6);
  EXPECT_THAT(check_profile(run_.out.path), IsEmpty());
}

TEST_F(QkvProfile, MetadataAndBatchPlaceTheSites) {
  write_capture("a.safetensors", {2, 1, 30, 4}, {{"step", "3"}, {"layer", "1"}, {"branch", "1"}});
  write_capture("b.safetensors", {1, 1, 30, 4});
  const ProfileOutcome summary = profile_qkv(run_, {});
  const Profile profile = read_profile(run_.out.path);

  EXPECT_EQ(summary.sites, 3);
  EXPECT_EQ(profile.prompts, 2);
  EXPECT_EQ(profile.branches, 2);
  EXPECT_EQ(profile.steps, 4);
  EXPECT_EQ(profile.layers, 2);
  EXPECT_TRUE(profile.is_recorded(0, 1, 3, 1));
  EXPECT_TRUE(profile.is_recorded(1, 1, 3, 1));
  EXPECT_TRUE(profile.is_recorded(0, 0, 1, 0))
      << "a file without metadata is the step of its place";
  EXPECT_EQ(std::count(profile.recorded.begin(), profile.recorded.end(), 1), 3);
}

TEST_F(QkvProfile, KeepsTheCapturesThatAreAskedFor) {
  run_.prefix = 1;
  run_.suffix = 2;
  run_.record.keep_qkv = "step=1 head=1";
  write_capture("a.safetensors", {2, 2, 33, 4}, {{"step", "1"}});
  write_capture("b.safetensors", {1, 2, 33, 4}, {{"step", "0"}});
  profile_qkv(run_, {});
  EXPECT_THAT(check_profile(run_.out.path), IsEmpty());
  const Profile profile = read_profile(run_.out.path);
  EXPECT_EQ(profile.manifest.at("keep_qkv"), "step=1 head=1");
  ASSERT_EQ(profile.kept.calls.size(), 2u);
  const KeptCall& call = profile.kept.calls.at("p1_b0_s1_l0");
  EXPECT_EQ(call.prefix, 1);
  EXPECT_EQ(call.suffix, 2);
  EXPECT_EQ(call.scale, 0.5);
  EXPECT_THAT(call.heads, ::testing::ElementsAre(1));
  EXPECT_THAT(call.qkv[0].read(), ::testing::Each(0.0f));
  const std::vector<float> k = call.qkv[1].read();
  ASSERT_EQ(k.size(), 33u * 4);
  for (size_t i = 0; i < k.size(); ++i) {  // the last of [2, 2, 33, 4]
    EXPECT_EQ(k[i], std::sin(static_cast<float>(3 * 33 * 4 + i)));
  }
}

TEST_F(QkvProfile, RefusesWhatDoesNotFit) {
  write_capture("short.safetensors", {1, 1, 29, 4});
  EXPECT_THAT(refusal(ErrorKind::kData), HasSubstr("short.safetensors"));
  run_.files.clear();
  write_capture("a.safetensors", {1, 1, 30, 4});
  write_capture("heads.safetensors", {1, 2, 30, 4});
  EXPECT_THAT(refusal(ErrorKind::kData), HasSubstr("heads.safetensors"));
  run_.files.pop_back();
  write_capture("twice.safetensors", {1, 1, 30, 4}, {{"step", "0"}});
  EXPECT_THAT(refusal(ErrorKind::kData), HasSubstr("twice.safetensors"));
  run_.files.pop_back();
  write_capture("odd.safetensors", {1, 1, 30, 4}, {{"layer", "-1"}});
  EXPECT_THAT(refusal(ErrorKind::kData), HasSubstr("layer"));
  run_.files.clear();
  refusal(ErrorKind::kUsage);
  EXPECT_FALSE(fs::exists(run_.out.path));
}

}  // namespace
}  // namespace sparsescope
