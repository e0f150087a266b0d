// Profiles in parts and the whole: what was sampled in shards is, joined in any order, what one run
// gives; what contradicts is refused by name.
#include "stats/profile_merge.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "example_profile.h"
#include "profile_run.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using testing::example_profile;
using testing::expect_same;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProfileMerge : public testing::ProfileRun {
 protected:
  ProfileMerge() {
    prompts_.names.push_back("prompt 2");
    prompts_.conditional.push_back({{1, 1, 1}, {2.5f}});
    prompts_.unconditional.push_back({{1, 1, 1}, {0.0f}});
  }

  fs::path sample(const std::string& name, const std::string& prompts,
                  const std::string& steps = "all", const std::string& layers = "all") {
    TrajectoryRun run = run_;
    run.out.path = temp_ / name;
    run.record.prompts = prompts;
    run.record.steps = steps;
    run.record.layers = layers;
    profile_trajectories(run, {});
    return run.out.path;
  }

  // The bytes of the joined file.
  std::string merged(const std::vector<fs::path>& files) {
    write_profile(temp_ / "merged.h5", merge_profiles(files), true);
    return testing::read_file(temp_ / "merged.h5");
  }

  // In every order the same file, which holds what one run gives.
  void expect_whole(std::vector<fs::path> shards) {
    const Profile whole = truth();
    std::sort(shards.begin(), shards.end());
    const std::string file = merged(shards);
    do {
      EXPECT_TRUE(merged(shards) == file);
      expect_same(read_profile(temp_ / "merged.h5"), whole);
    } while (std::next_permutation(shards.begin(), shards.end()));
    EXPECT_THAT(check_profile(temp_ / "merged.h5"), IsEmpty());
  }
};

TEST_F(ProfileMerge, APromptsShardHoldsThePlacesOfAll) {
  const Profile whole = truth();
  model_.calls = 0;
  const Profile shard = read_profile(sample("b.h5", "1"));
  EXPECT_EQ(model_.calls, 2 * kSteps) << "the other prompts are not sampled";
  EXPECT_EQ(shard.prompts, 3);
  EXPECT_FALSE(shard.is_recorded(0, 0, 0, 0));
  EXPECT_FALSE(shard.is_recorded(2, 1, 2, 1));
  EXPECT_TRUE(std::isnan(*shard.at("entropy", 2, 0, 0, 0, 0)));
  EXPECT_EQ(*shard.at("entropy", 1, 0, 2, 1, 0), *whole.at("entropy", 1, 0, 2, 1, 0));
  EXPECT_EQ(shard.maps.size(), 2u);
}

TEST_F(ProfileMerge, ThreeShardsOfPromptsAreTheWholeInEveryOrder) {
  expect_whole({sample("a.h5", "0"), sample("b.h5", "1"), sample("c.h5", "2")});
}

// The mapped site is recorded by every shard: equal values may overlap.
TEST_F(ProfileMerge, ShardsOfStepsAndLayersAreTheWholeInEveryOrder) {
  expect_whole({sample("a.h5", "all", "0"), sample("b.h5", "all", "1-2", "0"),
                sample("c.h5", "all", "1-2", "1")});
}

TEST_F(ProfileMerge, JoinedInPartsItIsTheSameFile) {
  const fs::path a = sample("a.h5", "0,1", "0"), b = sample("b.h5", "2"),
                 c = sample("c.h5", "0-1", "1,2");
  const std::string at_once = merged({a, b, c});
  write_profile(temp_ / "bc.h5", merge_profiles({b, c}), false);
  EXPECT_TRUE(merged({temp_ / "bc.h5", a}) == at_once);
  EXPECT_TRUE(merged({a, temp_ / "bc.h5", b}) == at_once) << "what is given twice counts once";
}

TEST_F(ProfileMerge, OtherPromptsAndSeedsStandBesideEachOther) {
  const fs::path a = sample("a.h5", "all");
  run_.sampling.seed = 3;
  std::swap(prompts_.conditional[0], prompts_.conditional[1]);
  std::swap(prompts_.names[0], prompts_.names[1]);
  const fs::path b = sample("b.h5", "all");
  const Profile joined = merge_profiles({a, b});
  EXPECT_EQ(joined.prompts, 6);
  EXPECT_EQ(joined.manifest.at("prompts"),
            Json({"prompt 1", "prompt 0", "prompt 2", "prompt 0", "prompt 1", "prompt 2"}));
  EXPECT_EQ(joined.manifest.at("trajectories")[1], Json({{"index", 1}, {"seed", 3}}));
  EXPECT_EQ(joined.manifest.at("trajectories")[3], Json({{"index", 0}, {"seed", 11}}));
  EXPECT_FALSE(joined.manifest.contains("seed")) << "there is not one seed";
  const Profile first = read_profile(a), second = read_profile(b);
  EXPECT_EQ(*joined.at("entropy", 0, 1, 2, 1, 1), *second.at("entropy", 0, 1, 2, 1, 1));
  EXPECT_EQ(*joined.at("entropy", 5, 1, 2, 1, 1), *first.at("entropy", 2, 1, 2, 1, 1));
  EXPECT_EQ(joined.maps.at("p4_b0_s1_l1"), first.maps.at("p1_b0_s1_l1"));
  EXPECT_TRUE(merged({a, b}) == merged({b, a}));
  EXPECT_THAT(check_profile(temp_ / "merged.h5"), IsEmpty());
}

TEST_F(ProfileMerge, GivenNoiseIsKnownByItsHash) {
  for (int64_t i = 0; i < 3; ++i) {
    HostTensor latent = HostTensor::zeros(run_.sampling.latent_shape);
    for (size_t j = 0; j < latent.values.size(); ++j) {
      latent.values[j] = static_cast<float>((j + static_cast<size_t>(i)) % 5);
    }
    run_.latents.push_back(latent);
  }
  const fs::path a = sample("a.h5", "0");
  run_.sampling.seed = 99;  // decides nothing
  const fs::path b = sample("b.h5", "1,2");
  EXPECT_EQ(merge_profiles({a, b}).prompts, 3);
  run_.latents[0].values[0] += 1;
  EXPECT_EQ(merge_profiles({a, sample("c.h5", "0")}).prompts, 4);
}

TEST_F(ProfileMerge, SaysWhereEverythingComesFrom) {
  const Profile joined = merge_profiles({sample("a.h5", "0"), sample("b.h5", "1-2", "0,1")});
  const Json& manifest = joined.manifest;
  EXPECT_EQ(manifest.at("prompts"), Json({"prompt 0", "prompt 1", "prompt 2"}));
  EXPECT_EQ(manifest.at("seed"), 11);
  EXPECT_EQ(manifest.at("record_layers"), "all");
  EXPECT_FALSE(manifest.contains("record_prompts"));
  ASSERT_EQ(manifest.at("sources").size(), 2u);
  for (const Json& source : manifest.at("sources")) {
    const bool is_a = source.at("file").get<std::string>().ends_with("/a.h5");
    EXPECT_EQ(source.at("record_prompts"), is_a ? "0" : "1-2");
    EXPECT_EQ(source.at("sha256").get<std::string>().size(), 64u);
    EXPECT_EQ(source.at("fingerprint").get<std::string>().size(), 64u);
  }
  EXPECT_THAT(manifest.at("command_line").get<std::string>(),
              AllOf(HasSubstr("sparsescope merge"), HasSubstr("/a.h5"), HasSubstr("/b.h5")));
}

// Two profiles in memory, the second one changed.
class Contradiction : public ::testing::Test {
 protected:
  Contradiction() {
    first_.manifest["checkpoint_hash"] = "aa";
    first_.manifest["guidance"] = 5.0;
    second_ = first_;
  }

  std::string refusal() {
    return error_of(ErrorKind::kData, [this] { join(); });
  }
  Profile join() {
    ProfileMerger merger;
    merger.add(first_, "a.h5", "01");
    merger.add(second_, "b.h5", "02");
    return merger.take();
  }

  Profile first_ = example_profile(), second_;
};

TEST_F(Contradiction, EqualOverlapIsNone) { expect_same(join(), first_); }

TEST_F(Contradiction, OfASettingNamesBothFilesAndValues) {
  second_.manifest["guidance"] = 4.0;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("b.h5: manifest: /guidance: expected 5.0 as in a.h5"),
                               HasSubstr("found 4.0")));
  second_.manifest.erase("guidance");
  EXPECT_THAT(refusal(), HasSubstr("found none"));
}

TEST_F(Contradiction, OfEveryJointSettingIsSeen) {
  for (const std::string& key : joint_settings()) {
    second_ = first_;
    second_.manifest[key] = "another";
    EXPECT_THAT(refusal(), HasSubstr("/" + key)) << key;
  }
}

TEST_F(Contradiction, OfThePlanAroundMeasuredEffectsIsSeen) {
  first_.manifest["sensitivity"] = 2;
  first_.manifest["around"] = "aa";
  second_.manifest["sensitivity"] = 0;
  second_.manifest["around"] = "";
  join();  // nothing was measured beside another plan
  second_.manifest["sensitivity"] = 1;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("b.h5: manifest: /around: expected \"aa\" as in"),
                               HasSubstr("found \"\"")));
}

TEST_F(Contradiction, OfExtentsIsSeen) {
  const std::pair<const char*, void (*)(Profile&)> changes[] = {
      {"attribute grid", [](Profile& p) { p.grid.w = 6; }},
      {"attribute tile", [](Profile& p) { p.tile.t = 1; }},
      {"/branch", [](Profile& p) { p.branches = 1; }},
      {"/step", [](Profile& p) { p.steps = 4; }},
      {"/layer:", [](Profile& p) { p.layers = 3; }},
      {"/head", [](Profile& p) { p.heads = 1; }},
      {"/rows", [](Profile& p) { p.rows_per_tile = 3; }},
      {"/sigma", [](Profile& p) { p.sigma[1] = 0.8; }},
      {"/timestep", [](Profile& p) { p.timestep[1] = 800; }},
      {"/layer_name", [](Profile& p) { p.layer_name[1] = "other"; }},
      {"/stats/key_mass: shape", [](Profile& p) { p.arrays.at("key_mass").shape.back() = 7; }},
      {"/stats/key_mass: axes", [](Profile& p) { p.arrays.at("key_mass").axes.back() = "x"; }},
      {"/stats/entropy: unit", [](Profile& p) { p.arrays.at("entropy").unit = "bit"; }}};
  for (const auto& [place, change] : changes) {
    second_ = first_;
    change(second_);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("b.h5: "), HasSubstr(place)));
  }
}

TEST_F(Contradiction, OfAValueNamesTheSite) {
  second_.arrays.at("vmoba/temporal:1/recall_tau").values.back() = 0.5f;
  EXPECT_THAT(refusal(), HasSubstr("b.h5: /vmoba/temporal:1/recall_tau at prompt 0, branch 1, "
                                   "step 2, layer 1, head 1: expected 0.75 as in"));
  second_ = first_;
  second_.maps.begin()->second[3] = 0.25f;
  EXPECT_THAT(refusal(), HasSubstr("b.h5: /maps/p0_b1_s2_l1: value 3"));
}

TEST_F(Contradiction, WhatOneMeasuredAloneIsNone) {
  testing::add_array(second_, "sensitivity", {}, {}, {0.5f});
  first_.arrays.at("entropy").values[0] = std::numeric_limits<float>::quiet_NaN();
  second_.arrays.erase("row_overlap");
  const Profile joined = join();
  EXPECT_EQ(*joined.at("sensitivity", 0, 0, 0, 0, 0), 0.5f);
  EXPECT_EQ(*joined.at("entropy", 0, 0, 0, 0, 0), 2.5f);
  EXPECT_EQ(*joined.at("row_overlap", 0, 0, 0, 0, 0), 0.5f);

  second_.manifest["seed"] = 8;  // another trajectory
  const Profile beside = join();
  EXPECT_EQ(beside.prompts, 2);
  EXPECT_TRUE(std::isnan(*beside.at("sensitivity", 0, 0, 0, 0, 0)));
  EXPECT_EQ(*beside.at("sensitivity", 1, 0, 0, 0, 0), 0.5f);
}

TEST_F(Contradiction, OfAManifestWithItselfIsSeen) {
  const std::pair<const char*, Json> changes[] = {
      {"prompts", {"one", "two"}},     {"prompts", {1}},
      {"prompt_hashes", "x"},          {"seed", -1},
      {"trajectories", Json::array()}, {"trajectories", {3}},
      {"sources", Json::array()},      {"sources", Json::array({Json::object()})}};
  for (const auto& [key, value] : changes) {
    second_ = first_;
    second_.manifest[key] = value;
    EXPECT_THAT(refusal(), AllOf(HasSubstr("b.h5: manifest: /"), HasSubstr(key))) << value;
  }
}

TEST(MergeOfOne, IsAWrongCall) {
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { merge_profiles({"/nowhere/a.h5"}); }),
              HasSubstr("at least two"));
}

}  // namespace
}  // namespace sparsescope
