// Two experts: against trajectories of diffusers' WanPipeline, and against the two transformers run
// by hand.
#include "model/experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "model/denoiser.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kSampleTolerance = 4e-5;  // of one forward pass beside diffusers

PromptSet filled_prompts() {
  return {.names = {"a"},
          .conditional = {filled_input("prompt_embeds", {1, 5, 16})},
          .unconditional = {filled_input("negative_prompt_embeds", {1, 5, 16})},
          .source_hash = {}};
}

TrajectoryState first_state() {
  return {.next_step = 0,
          .latents = filled_input("latents", {1, 4, 2, 4, 6}),
          .history = {},
          .counters = {}};
}

SamplingOptions unipc(int64_t steps, double shift, double guidance) {
  return {.steps = steps,
          .guidance = guidance,
          .guidance_2 = {},
          .scheduler = "unipc",
          .shift = shift,
          .seed = 0,
          .latent_shape = {1, 4, 2, 4, 6}};
}

CheckpointFolder two_tiny_experts(const std::filesystem::path& folder,
                                  const std::string& boundary) {
  const TinyWan wan;
  return write_two_experts(folder, wan, wan.tensors(), wan, wan.tensors("low."), boundary);
}

struct PipelineCase {
  std::string name, boundary;
  SamplingOptions options;
};

std::vector<PipelineCase> pipeline_cases() {
  std::vector<PipelineCase> cases = {
      {"own_guidance", "0.875", unipc(8, 5.0, 4.0)},
      {"at_equality", "0.75", unipc(8, 5.0, 2.5)},
      {"low_without_guidance", "0.9", unipc(4, 3.0, 3.0)},
      {"conditional_alone", "0.9", unipc(4, 3.0, 1.0)},
  };
  cases[0].options.guidance_2 = 3.0;
  cases[2].options.guidance_2 = 1.0;
  return cases;
}

class PipelineTrajectories : public ::testing::TestWithParam<PipelineCase> {};

TEST_P(PipelineTrajectories, MatchDiffusers) {
  const PipelineCase& tested = GetParam();
  const SafetensorsFile golden =
      SafetensorsFile::open(std::filesystem::path(SPARSESCOPE_TEST_DATA) / "models" /
                            "wan-two-experts" / (tested.name + ".safetensors"));
  const StoredTensor stored = golden.fetch("latents");
  const std::vector<float> expected = to_float(stored, "latents");
  const std::vector<int64_t> timesteps = to_int64(golden.fetch("timesteps"), "timesteps");
  const std::vector<int64_t> calls = to_int64(golden.fetch("calls"), "calls");

  TempDir dir;
  const CheckpointFolder folder = two_tiny_experts(dir.path(), tested.boundary);
  const auto model = load_experts(folder, {.threads = 2});
  const Denoiser denoiser(*model, folder, tested.options);
  EXPECT_EQ(denoiser.scheduler().timesteps(),
            std::vector<double>(timesteps.begin(), timesteps.end()));

  const PromptSet prompts = filled_prompts();
  TrajectoryState state = first_state();
  NaiveHook hook;
  const size_t count = state.latents.values.size();
  for (int64_t step = 0; step < stored.shape[0]; ++step) {
    denoiser.step(state, prompts, 0, hook);
    const auto first = expected.begin() + step * static_cast<int64_t>(count);
    const std::vector<float> truth(first, first + static_cast<int64_t>(count));
    EXPECT_TRUE(near(state.latents.values, truth, {.max_scaled = kSampleTolerance})) << step;
  }
  std::vector<int64_t> found;
  for (const NaiveHook::Call& call : hook.calls) {
    if (call.site.layer == 0) found.push_back(call.site.expert);
  }
  EXPECT_EQ(found, calls);
}

INSTANTIATE_TEST_SUITE_P(Experts, PipelineTrajectories, ::testing::ValuesIn(pipeline_cases()),
                         [](const auto& tested) { return tested.param.name; });

TEST(ExpertBoundary, BelongsToHighNoiseInFp32) {
  const ExpertBoundary boundary{.ratio = 0.9, .timestep = 900.0};
  EXPECT_EQ(boundary.expert(900.0), kHighNoise);
  EXPECT_EQ(boundary.expert(899.0), kLowNoise);
  EXPECT_EQ(boundary.expert(901.0), kHighNoise);
  // 875.3 lies above its fp32 neighbour, at which torch compares.
  const ExpertBoundary between{.ratio = 0.8753, .timestep = 875.3};
  ASSERT_LT(static_cast<double>(875.3f), 875.3);
  EXPECT_EQ(between.expert(static_cast<double>(875.3f)), kHighNoise);
}

// The latents after each step.
std::vector<std::vector<float>> trajectory(VideoTransformer& model, const CheckpointFolder& folder,
                                           const SamplingOptions& options) {
  const Denoiser denoiser(model, folder, options);
  const PromptSet prompts = filled_prompts();
  TrajectoryState state = first_state();
  NaiveHook hook;
  std::vector<std::vector<float>> latents;
  for (int64_t step = 0; step < options.steps; ++step) {
    denoiser.step(state, prompts, 0, hook);
    latents.push_back(state.latents.values);
  }
  return latents;
}

TEST(TwoExperts, OfOneCheckpointAreThatCheckpoint) {
  TempDir dir;
  const TinyWan wan;
  const CheckpointFolder one = write_checkpoint(dir / "one", wan.tensors(), wan.config());
  const CheckpointFolder two =
      write_two_experts(dir / "two", wan, wan.tensors(), wan, wan.tensors(), "0.75");
  const SamplingOptions options = unipc(8, 5.0, 3.0);
  EXPECT_EQ(trajectory(*load_experts(two, {}), two, options),
            trajectory(*load_experts(one, {}), one, options));
}

TEST(TwoExperts, TakeTurnsAtTheBoundary) {
  TempDir dir;
  const CheckpointFolder folder = two_tiny_experts(dir.path(), "0.75");
  const auto high = load_transformer(expert_folder(folder, kHighNoise), {});
  const auto low = load_transformer(expert_folder(folder, kLowNoise), {});
  EXPECT_THAT(high->info().warnings, ::testing::IsEmpty());
  const SamplingOptions options = unipc(8, 5.0, 1.0);
  // 999, 972, 937, 893, 833, 750 | 625, 418
  const auto scheduler = make_scheduler({}, options.scheduler, options.steps, options.shift);
  TrajectoryState state = first_state();
  NaiveHook hook;
  std::vector<std::vector<float>> by_hand;
  for (int64_t step = 0; step < options.steps; ++step) {
    VideoTransformer& model = step < 6 ? *high : *low;
    const auto t = static_cast<float>(scheduler->timesteps()[static_cast<size_t>(step)]);
    const HostTensor output =
        model.forward({{"hidden_states", state.latents},
                       {"timestep", {{1}, {t}}},
                       {"encoder_hidden_states", filled_prompts().conditional[0]}},
                      {}, hook);
    scheduler->advance(state, output);
    by_hand.push_back(state.latents.values);
  }
  EXPECT_EQ(trajectory(*load_experts(folder, {}), folder, options), by_hand);
}

// One fits and is dropped for the other; or not even one does, and its blocks are streamed.
TEST(TwoExperts, WithinAMemoryBoundGiveTheSameBits) {
  TempDir dir;
  const CheckpointFolder folder = two_tiny_experts(dir.path(), "0.75");
  int64_t parameters = 0, block = 0;
  for (const auto& [name, tensor] : TinyWan().tensors()) {
    parameters += static_cast<int64_t>(tensor.values.size());
    if (name.starts_with("blocks.0.")) block += static_cast<int64_t>(tensor.values.size());
  }
  const SamplingOptions options = unipc(4, 5.0, 1.0);
  const auto expected = trajectory(*load_experts(folder, {}), folder, options);
  const auto bounded = load_experts(folder, {.max_memory = 4 * parameters});
  EXPECT_EQ(trajectory(*bounded, folder, options), expected);
  EXPECT_EQ(trajectory(*bounded, folder, options), expected);  // back to high noise
  const int64_t least = 4 * (parameters - block);
  EXPECT_EQ(trajectory(*load_experts(folder, {.max_memory = least}), folder, options), expected);
  EXPECT_EQ(error_of([&] { load_experts(folder, {.max_memory = least - 1}); }).kind(),
            ErrorKind::kResource);
}

TEST(TwoExperts, HaveOneHashOfBoth) {
  TempDir dir;
  const CheckpointFolder folder = two_tiny_experts(dir.path(), "0.75");
  const auto model = load_experts(folder, {});
  const ModelInfo& info = model->info();
  const auto high = load_transformer(expert_folder(folder, kHighNoise), {});
  const auto low = load_transformer(expert_folder(folder, kLowNoise), {});
  EXPECT_THAT(info.expert_hashes,
              ElementsAre(high->info().checkpoint_hash, low->info().checkpoint_hash));
  EXPECT_EQ(info.checkpoint_hash, joint_checkpoint_hash(info.expert_hashes));
  EXPECT_EQ(info.checkpoint_hash, checkpoint_hash(folder));
  EXPECT_NE(joint_checkpoint_hash({"a", "b"}), joint_checkpoint_hash({"b", "a"}));
}

TEST(TwoExperts, NeedABoundary) {
  TempDir dir;
  CheckpointFolder folder = two_tiny_experts(dir.path(), "null");
  const Error missing = error_of([&] { load_experts(folder, {}); });
  EXPECT_EQ(missing.kind(), ErrorKind::kData);
  EXPECT_THAT(missing.what(), HasSubstr("expected boundary_ratio in model_index.json, found none"));
  for (const char* wrong : {"1.5", "-0.1", "\"0.9\""}) {
    folder.model_index = parse_json(std::string("{\"boundary_ratio\": ") + wrong + "}", "index");
    EXPECT_EQ(error_of([&] { load_experts(folder, {}); }).kind(), ErrorKind::kData) << wrong;
  }
  folder.model_index = Json{{"boundary_ratio", 0.9}};
  folder.transformer_2.reset();
  const Error alone = error_of([&] { load_experts(folder, {}); });
  EXPECT_EQ(alone.kind(), ErrorKind::kData);
  EXPECT_THAT(alone.what(), HasSubstr("transformer_2"));
}

TEST(TwoExperts, MustBeAlike) {
  const TinyWan high;
  for (const auto& [what, low] : {std::pair{"layers", TinyWan{.layers = 3}},
                                  {"heads", TinyWan{.heads = 3}},
                                  {"head_dim", TinyWan{.head_dim = 24}},
                                  {"text_dim", TinyWan{.text_dim = 8}}}) {
    TempDir dir;
    const CheckpointFolder folder =
        write_two_experts(dir.path(), high, high.tensors(), low, low.tensors(), "0.9");
    const Error error = error_of([&] { load_experts(folder, {}); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr(std::string("transformer_2: ") + what + ": expected"));
  }
}

// A boundary changes nothing for one transformer; neither does null, which Wan 2.2 5B has.
TEST(TwoExperts, ANullBoundaryIsNone) {
  CheckpointFolder folder;
  folder.model_index = Json{{"boundary_ratio", nullptr}, {"expand_timesteps", true}};
  EXPECT_FALSE(expert_boundary(folder));
}

}  // namespace
}  // namespace sparsescope::testing
