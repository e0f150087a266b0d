// The denoising loop around a model that only notes what it was asked.
#include "model/denoiser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/near.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;

// Answers with a multiple of the latents: 1 with text, 0.25 with the zero text.
class NotingModel : public VideoTransformer {
 public:
  NotingModel() {
    info_.variant = "text-to-video";
    info_.in_channels = info_.out_channels = 2;
  }
  const ModelInfo& info() const override { return info_; }
  TokenGrid token_grid(const std::vector<int64_t>& shape) const override {
    return {shape[2], shape[3] / 2, shape[4] / 2};
  }
  HostTensor forward(const ModelInputs& inputs, const SiteKey& site, AttentionHook&) override {
    sites.push_back(site);
    timesteps.push_back(inputs.at("timestep").values.at(0));
    const bool text = inputs.at("encoder_hidden_states").values.at(0) != 0.0f;
    HostTensor y = inputs.at("hidden_states");
    for (float& value : y.values) value *= text ? 1.0f : 0.25f;
    return y;
  }
  HostTensor pull_back(const ModelInputs& inputs, const SiteKey& site, AttentionHook& forward_hook,
                       DifferentiableHook&, const Directions& directions) override {
    HostTensor y = forward(inputs, site, forward_hook);
    directions(y);
    return y;
  }

  ModelInfo info_;
  std::vector<SiteKey> sites;
  std::vector<float> timesteps;
};

class NoHook : public AttentionHook {
 public:
  void attend(const AttentionCall&) override { FAIL() << "no attention in these tests"; }
};

class NoDifferentiableHook : public DifferentiableHook {
 public:
  void attend(const AttentionCall&) override { FAIL() << "no attention in these tests"; }
  void attend_backward(const AttentionCall&, int64_t, const AttentionTensor&,
                       const MutableAttentionTensor&, const MutableAttentionTensor&,
                       const MutableAttentionTensor&) override {
    FAIL() << "no attention in these tests";
  }
};

class DenoiserTest : public ::testing::Test {
 protected:
  SamplingOptions options(double guidance) const {
    return {.steps = 4,
            .guidance = guidance,
            .scheduler = "flow-euler",
            .shift = 3.0,
            .seed = 7,
            .latent_shape = {1, 2, 3, 4, 6}};
  }
  PromptSet prompts_{.names = {"a", "b"},
                     .conditional = {{{1, 1, 1}, {1.0f}}, {{1, 1, 1}, {2.0f}}},
                     .unconditional = {{{1, 1, 1}, {0.0f}}, {{1, 1, 1}, {0.0f}}},
                     .source_hash = {}};
  NotingModel model_;
  NoHook hook_;
  CheckpointFolder folder_;
};

TEST_F(DenoiserTest, GuidesConditionalFirst) {
  const Denoiser denoiser(model_, folder_, options(3.0));
  EXPECT_EQ(denoiser.num_branches(), 2);
  EXPECT_EQ(denoiser.token_grid(), (TokenGrid{3, 2, 3}));
  TrajectoryState state{.latents = denoiser.initial_noise(1)};
  const float x = state.latents.values[5];
  denoiser.step(state, prompts_, 1, hook_);
  // u + g (c - u) with c = x and u = x / 4
  const double guided = x * (0.25 + 3.0 * 0.75);
  EXPECT_NEAR(state.latents.values[5], x + (0.857692 - 1.0) * guided, 1e-5);
  denoiser.step(state, prompts_, 1, hook_);
  ASSERT_EQ(model_.sites.size(), 4u);
  for (size_t call = 0; call < 4; ++call) {
    EXPECT_EQ(model_.sites[call].branch,
              call % 2 == 0 ? Branch::kConditional : Branch::kUnconditional);
    EXPECT_EQ(model_.sites[call].step, static_cast<int64_t>(call / 2));
    EXPECT_EQ(model_.sites[call].prompt, 1);
  }
  EXPECT_EQ(model_.timesteps[0], 1000.0f);
  EXPECT_NEAR(model_.timesteps[2], 857.692f, 1e-3);
}

TEST_F(DenoiserTest, PullsBackWhatItPredicts) {
  const Denoiser denoiser(model_, folder_, options(3.0));
  TrajectoryState state{.latents = denoiser.initial_noise(1)};
  state.next_step = 2;
  const HostTensor expected = denoiser.predict(state, prompts_, 1, Branch::kUnconditional, hook_);
  NoDifferentiableHook backward;
  std::vector<float> seen;
  const HostTensor y = denoiser.pull_back(state, prompts_, 1, Branch::kUnconditional, hook_,
                                          backward, [&](const HostTensor& output) {
                                            seen = output.values;
                                            return std::vector<HostTensor>();
                                          });
  EXPECT_EQ(y.values, expected.values);
  EXPECT_EQ(seen, expected.values);
  ASSERT_EQ(model_.sites.size(), 2u);
  EXPECT_EQ(model_.sites[1].prompt, model_.sites[0].prompt);
  EXPECT_EQ(model_.sites[1].branch, model_.sites[0].branch);
  EXPECT_EQ(model_.sites[1].step, model_.sites[0].step);
  EXPECT_EQ(model_.timesteps[1], model_.timesteps[0]);
}

TEST_F(DenoiserTest, WithoutGuidanceOneBranch) {
  const Denoiser denoiser(model_, folder_, options(1.0));
  EXPECT_EQ(denoiser.num_branches(), 1);
  TrajectoryState state{.latents = denoiser.initial_noise(0)};
  prompts_.unconditional.clear();
  denoiser.step(state, prompts_, 0, hook_);
  EXPECT_EQ(model_.sites.size(), 1u);
}

TEST_F(DenoiserTest, NoiseFollowsSeedAndPromptAlone) {
  const Denoiser denoiser(model_, folder_, options(1.0));
  SamplingOptions longer = options(5.0);
  longer.steps = 9;
  EXPECT_EQ(denoiser.initial_noise(1).values,
            Denoiser(model_, folder_, longer).initial_noise(1).values);
  EXPECT_NE(denoiser.initial_noise(0).values, denoiser.initial_noise(1).values);
  SamplingOptions other = options(1.0);
  other.seed = 8;
  EXPECT_NE(denoiser.initial_noise(0).values,
            Denoiser(model_, folder_, other).initial_noise(0).values);

  SamplingOptions large = options(1.0);
  large.latent_shape = {1, 2, 10, 40, 40};
  const HostTensor noise = Denoiser(model_, folder_, large).initial_noise(0);
  double sum = 0, squares = 0;
  for (const float value : noise.values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const auto count = static_cast<double>(noise.values.size());
  EXPECT_NEAR(sum / count, 0.0, 5.0 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1.0, 5.0 * std::sqrt(2.0 / count));
}

TEST_F(DenoiserTest, RefusesWhatItCannotSample) {
  model_.info_.variant = "image-to-video";
  EXPECT_EQ(error_of([&] { Denoiser(model_, folder_, options(1.0)); }).kind(),
            ErrorKind::kUnsupported);
  model_.info_.variant = "text-to-video";
  SamplingOptions wrong = options(1.0);
  wrong.latent_shape[1] = 3;
  EXPECT_EQ(error_of([&] { Denoiser(model_, folder_, wrong); }).kind(), ErrorKind::kUsage);
}

// Flow-Euler at shift 3: 1000, 857.7, 602.2, 8.9.
TEST_F(DenoiserTest, EachExpertRunsItsSteps) {
  folder_.transformer_2 = "transformer_2";
  folder_.model_index = Json{{"boundary_ratio", 0.7}};
  SamplingOptions guided = options(3.0);
  guided.guidance_2 = 2.0;
  const Denoiser denoiser(model_, folder_, guided);
  EXPECT_THAT(denoiser.experts(), ElementsAre(0, 0, 1, 1));
  TrajectoryState state{.latents = denoiser.initial_noise(0)};
  const HostTensor one{{1}, {1.0f}}, none{{1}, {0.0f}};
  for (int64_t step = 0; step < 4; ++step) {
    EXPECT_EQ(denoiser.guide(step, one, none).values.at(0), step < 2 ? 3.0f : 2.0f);
    denoiser.step(state, prompts_, 0, hook_);
  }
  ASSERT_EQ(model_.sites.size(), 8u);
  for (const SiteKey& site : model_.sites) EXPECT_EQ(site.expert, site.step < 2 ? 0 : 1);

  guided.guidance_2.reset();
  EXPECT_EQ(Denoiser(model_, folder_, guided).guidance_of(kLowNoise), 3.0);
}

TEST_F(DenoiserTest, RefusesASecondGuidanceThatWouldChangeNothing) {
  SamplingOptions second = options(3.0);
  second.guidance_2 = 2.0;
  EXPECT_EQ(error_of([&] { Denoiser(model_, folder_, second); }).kind(), ErrorKind::kUsage);
  folder_.transformer_2 = "transformer_2";
  folder_.model_index = Json{{"boundary_ratio", 0.7}};
  second.guidance = 1.0;
  EXPECT_EQ(error_of([&] { Denoiser(model_, folder_, second); }).kind(), ErrorKind::kUsage);
}

TEST_F(DenoiserTest, LatentShapes) {
  ModelInfo info{.patch_t = 1, .patch_h = 2, .patch_w = 2, .out_channels = 16};
  // Wan's autoencoder: 81 frames of 480 x 832
  EXPECT_THAT(latent_shape_from_video(folder_, info, 81, 480, 832),
              ElementsAre(1, 16, 21, 60, 104));
  EXPECT_EQ(error_of([&] { latent_shape_from_video(folder_, info, 80, 480, 832); }).kind(),
            ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { latent_shape_from_video(folder_, info, 81, 480, 824); }).kind(),
            ErrorKind::kUsage);
  const auto tiny = open_checkpoint_folder(std::filesystem::path(SPARSESCOPE_DATA) / "tiny-wan");
  EXPECT_THAT(latent_shape_from_video(tiny, info, 8, 128, 128), ElementsAre(1, 16, 8, 32, 32));
  EXPECT_THAT(latent_shape_from_grid(info, {7, 13, 15}), ElementsAre(1, 16, 7, 26, 30));
  EXPECT_EQ(error_of([&] { latent_shape_from_grid(info, {7, 0, 15}); }).kind(), ErrorKind::kUsage);
}

}  // namespace
}  // namespace sparsescope::testing
