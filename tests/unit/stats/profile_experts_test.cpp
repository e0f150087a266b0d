// Profiles of two experts: what they record, that a run goes on across the boundary, and what merge
// and compare make of them.
#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "profile_run.h"
#include "stats/output_effects.h"
#include "stats/profile_compare.h"
#include "stats/profile_merge.h"
#include "support/expect_error.h"
#include "unit/stats/example_profile.h"

namespace sparsescope {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::error_of;
using testing::expect_same;
using testing::FakeTransformer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ProfileRun;

// The low-noise expert reads the text otherwise.
class FakeExperts : public FakeTransformer {
 public:
  HostTensor forward(const ModelInputs& inputs, const SiteKey& site, AttentionHook& hook) override {
    return FakeTransformer::forward(read_by(site.expert, inputs), site, hook);
  }
  HostTensor pull_back(const ModelInputs& inputs, const SiteKey& site, AttentionHook& forward_hook,
                       DifferentiableHook& backward, const Directions& directions) override {
    return FakeTransformer::pull_back(read_by(site.expert, inputs), site, forward_hook, backward,
                                      directions);
  }

 private:
  static ModelInputs read_by(int64_t expert, ModelInputs inputs) {
    if (expert == kLowNoise) inputs.at("encoder_hidden_states").values.front() += 0.7f;
    return inputs;
  }
};

// UniPC at shift 3 has the timesteps 999, 857, 600.
class ExpertRun : public ProfileRun {
 protected:
  ExpertRun() {
    run_.record.error_tiles = 2;
    run_.model = &experts_;
    set_boundary(0.7);
  }
  void set_boundary(double ratio) {
    folder_.transformer_2 = "models/fake/transformer_2";
    folder_.model_index = Json{{"boundary_ratio", ratio}};
  }
  // For another truth.
  void make_single() {
    std::filesystem::remove(temp_ / "truth.h5");
    folder_.transformer_2.reset();
    folder_.model_index.reset();
  }
  FakeExperts experts_;
};

TEST_F(ExpertRun, RecordsWhichExpertRanEachStep) {
  run_.sampling.guidance_2 = 2.0;
  const Profile profile = truth();
  EXPECT_THAT(check_profile(temp_ / "truth.h5"), IsEmpty());
  EXPECT_THAT(profile.expert, ElementsAre(0, 0, 1));
  const Json& experts = profile.manifest.at("experts");
  EXPECT_EQ(experts.at("boundary_ratio"), 0.7);
  EXPECT_EQ(experts.at("boundary_timestep"), 700.0);
  EXPECT_EQ(experts.at("of_step"), Json({0, 0, 1}));
  EXPECT_EQ(profile.manifest.at("guidance"), 3.0);
  EXPECT_EQ(profile.manifest.at("guidance_2"), 2.0);
}

TEST_F(ExpertRun, ASingleTransformerHasNone) {
  make_single();
  const Profile profile = truth();
  EXPECT_THAT(profile.expert, IsEmpty());
  EXPECT_FALSE(profile.manifest.contains("experts"));
  EXPECT_FALSE(profile.manifest.contains("guidance_2"));
}

// Sampled rows and tiles and random directions included.
TEST_F(ExpertRun, TwiceTheSameExpertIsThatTransformer) {
  run_.model = &model_;
  run_.record.rows_per_tile = 2;
  run_.record.sensitivity = kSteps;
  const Profile two = truth();
  make_single();
  const Profile one = truth();
  expect_same(two, one);
}

TEST_F(ExpertRun, StepsBelowTheBoundaryAreTheSecondExperts) {
  const Profile two = truth();
  make_single();
  const Profile one = truth();
  const auto entropy = [](const Profile& p, int64_t step) {
    return *p.at("entropy", 0, 0, step, 0, 0);
  };
  EXPECT_EQ(entropy(two, 0), entropy(one, 0));
  EXPECT_EQ(entropy(two, 1), entropy(one, 1));
  EXPECT_NE(entropy(two, 2), entropy(one, 2));
}

TEST_F(ExpertRun, GoesOnAcrossTheBoundary) {
  run_.record.sensitivity = 2;
  const Profile expected = truth();
  for (const int64_t finished : {1, 2, 3, 5}) {
    std::filesystem::remove(run_.out.path);
    run_until(finished);
    EXPECT_EQ(profile_trajectories(run_, {}).resumed_steps, finished);
    const Profile found = read_profile(run_.out.path);
    expect_same(found, expected);
    EXPECT_EQ(found.expert, expected.expert);
  }
}

TEST_F(ExpertRun, PartsOfAnotherBoundaryAreRefused) {
  run_until(2);
  set_boundary(0.9);
  EXPECT_EQ(failure_of_run(), ErrorKind::kUsage);
  set_boundary(0.7);
  run_.sampling.guidance_2 = 2.0;
  EXPECT_EQ(failure_of_run(), ErrorKind::kUsage);
}

TEST_F(ExpertRun, EffectsAreMeasuredOnBoth) {
  run_.record.sensitivity = 2;
  const Profile profile = truth();
  for (int64_t prompt = 0; prompt < kPrompts; ++prompt) {
    const auto measured = [&](int64_t step) {
      return !std::isnan(*profile.at("effect_pooled", prompt, 0, step, 0, 0));
    };
    EXPECT_TRUE(measured(2)) << prompt;
    EXPECT_NE(measured(0), measured(1)) << prompt;
  }
}

TEST(EffectSteps, OfTwoExpertsAreSharedOut) {
  const std::vector<int64_t> experts = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
  const std::vector<int64_t> steps = {0, 1, 2, 3, 5, 7, 9};  // five and two
  for (int64_t prompt = 0; prompt < 20; ++prompt) {
    for (int64_t count = 2; count <= 9; ++count) {
      const std::vector<int64_t> chosen = effect_steps(steps, experts, count, prompt);
      const auto all = std::min<int64_t>(count, 7);
      EXPECT_EQ(std::set(chosen.begin(), chosen.end()).size(), static_cast<size_t>(all));
      EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
      const auto low =
          std::count_if(chosen.begin(), chosen.end(), [](int64_t step) { return step >= 6; });
      const int64_t shares[] = {0, 0, 1, 1, 1, 1, 2, 2};  // round(2 / 7 of the count), one at least
      EXPECT_EQ(low, shares[all]) << count;
    }
    EXPECT_THAT(effect_steps(steps, experts, 0, prompt), IsEmpty());
    const std::vector<int64_t> one = effect_steps(steps, experts, 1, prompt);
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(one[0] >= 6, prompt % 2 == 1);
  }
  const std::vector<int64_t> early = {0, 1, 2};
  EXPECT_EQ(effect_steps(early, experts, 2, 5), effect_steps(early, {}, 2, 5));
}

Profile with_experts(std::vector<int64_t> experts) {
  Profile profile = testing::example_profile();
  profile.manifest["experts"] = {{"of_step", experts}};
  profile.expert = std::move(experts);
  return profile;
}

TEST(ExpertProfiles, AreKeptAndChecked) {
  const testing::TempDir temp;
  for (const auto& experts : {std::vector<int64_t>{0, 0, 1}, {0, 0, 0}, {1, 1, 1}}) {
    write_profile(temp / "a.h5", with_experts(experts), true);
    EXPECT_EQ(read_profile(temp / "a.h5").expert, experts);
    EXPECT_THAT(check_profile(temp / "a.h5"), IsEmpty());
  }
  for (const auto& experts : {std::vector<int64_t>{0, 1, 0}, {0, 0, 2}, {-1, 0, 0}}) {
    write_profile(temp / "b.h5", with_experts(experts), true);
    EXPECT_THAT(check_profile(temp / "b.h5"), Contains(HasSubstr("/expert: expected 0 or 1")));
  }
}

TEST(ExpertProfiles, OfAnotherBoundaryAreNotMerged) {
  const auto merge = [](const Profile& a, const Profile& b) {
    ProfileMerger merger;
    merger.add(a, "a.h5", "01");
    merger.add(b, "b.h5", "02");
    return merger.take();
  };
  EXPECT_THAT(merge(with_experts({0, 0, 1}), with_experts({0, 0, 1})).expert, ElementsAre(0, 0, 1));
  for (const Profile& other : {with_experts({0, 1, 1}), testing::example_profile()}) {
    const std::string refusal = error_of(ErrorKind::kData, [&] {
      merge(with_experts({0, 0, 1}), other);
    });
    EXPECT_THAT(refusal, AllOf(HasSubstr("b.h5: manifest: /experts"), HasSubstr("a.h5")));
  }
}

// Sigmas 1, 0.86 and 0.6, of which the middle one was not recorded.
TEST(ExpertProfiles, MeetStepsOfTheSameExpertAlone) {
  const Comparison same = compare_profiles(with_experts({0, 0, 1}), with_experts({0, 1, 1}));
  EXPECT_EQ(same.steps.size(), 2u);
  const Comparison apart = compare_profiles(with_experts({0, 0, 0}), with_experts({0, 1, 1}));
  ASSERT_EQ(apart.steps.size(), 2u);
  for (const StepPair& pair : apart.steps) EXPECT_EQ(pair.b, 0);
  EXPECT_THAT(compare_profiles(with_experts({0, 0, 0}), with_experts({1, 1, 1})).steps, IsEmpty());
  // A single transformer beside two experts: noise alone tells.
  EXPECT_EQ(compare_profiles(testing::example_profile(), with_experts({1, 1, 1})).steps.size(), 2u);
}

}  // namespace
}  // namespace sparsescope
