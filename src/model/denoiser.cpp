#include "model/denoiser.h"

#include "core/error.h"
#include "core/rng.h"
#include "core/tensor_view.h"
#include "model/folder_config.h"

namespace sparsescope {
namespace {

// Keeps the noise's random numbers apart from other users of the same seed.
constexpr uint64_t kNoiseKey = 0x6e6f697365ull;  // "noise"

struct LatentStrides {
  int64_t temporal = 4;  // Wan's autoencoder
  int64_t spatial = 8;
};

LatentStrides latent_strides(const CheckpointFolder& folder) {
  if (!folder.codec) return {};
  const FolderConfig config(*folder.codec, "LinearCodec");
  return {config.positive("temporal_stride"), config.positive("spatial_stride")};
}

void check_text_to_video(const CheckpointFolder& folder, const ModelInfo& info) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, info.variant == "text-to-video",
                    "{}: sampling an {} model needs a condition image, which is not supported; "
                    "text-to-video is",
                    folder.root.string(), info.variant);
}

// Refused like everything that would change nothing; a pipeline without a boundary refuses it, too.
void check_guidance_2(const SamplingOptions& options, bool two_experts) {
  if (!options.guidance_2) return;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, two_experts,
                    "--guidance-2 {}: expected a checkpoint of two experts, found one transformer",
                    *options.guidance_2);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.guidance > 1.0,
                    "--guidance-2 {}: expected --guidance above 1, which alone decides whether the "
                    "unconditional branch runs, found {}",
                    *options.guidance_2, options.guidance);
}

}  // namespace

Denoiser::Denoiser(VideoTransformer& model, const CheckpointFolder& folder,
                   const SamplingOptions& options)
    : model_(model),
      options_(options),
      scheduler_(
          make_scheduler(folder.scheduler_config, options.scheduler, options.steps, options.shift)),
      boundary_(expert_boundary(folder)) {
  check_text_to_video(folder, model.info());
  check_guidance_2(options_, boundary_.has_value());
  const auto& shape = options_.latent_shape;
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    shape.size() == 5 && shape[0] == 1 && shape[1] == model.info().in_channels,
                    "latents: expected [1, {}, F, H, W], found {}", model.info().in_channels,
                    shape_to_string(shape));
  model.token_grid(shape);
}

TokenGrid Denoiser::token_grid() const { return model_.token_grid(options_.latent_shape); }

int64_t Denoiser::expert(int64_t step) const {
  if (!boundary_) return kHighNoise;
  return boundary_->expert(scheduler_->timesteps()[static_cast<size_t>(step)]);
}

std::vector<int64_t> Denoiser::experts() const {
  std::vector<int64_t> experts;
  if (!boundary_) return experts;
  for (const double t : scheduler_->timesteps()) experts.push_back(boundary_->expert(t));
  return experts;
}

double Denoiser::guidance_of(int64_t expert) const {
  if (!guided()) return 1.0;
  return expert == kLowNoise ? options_.guidance_2.value_or(options_.guidance) : options_.guidance;
}

SiteKey Denoiser::site(const TrajectoryState& state, int64_t prompt, Branch branch) const {
  return {.prompt = prompt,
          .branch = branch,
          .step = state.next_step,
          .expert = expert(state.next_step)};
}

HostTensor Denoiser::initial_noise(int64_t prompt) const {
  HostTensor noise = HostTensor::zeros(options_.latent_shape);
  const uint64_t key =
      combine_key(combine_key(options_.seed, kNoiseKey), static_cast<uint64_t>(prompt));
  for (size_t i = 0; i < noise.values.size(); ++i) {
    noise.values[i] = static_cast<float>(normal(key, i));
  }
  return noise;
}

ModelInputs Denoiser::inputs(const TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
                             Branch branch) const {
  const auto& embeds = branch == Branch::kConditional ? prompts.conditional : prompts.unconditional;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, prompt >= 0 && prompt < static_cast<int64_t>(embeds.size()),
                    "prompt {}: expected one of {} embeddings of the {} branch", prompt,
                    embeds.size(),
                    branch == Branch::kConditional ? "conditional" : "unconditional");
  const auto& timesteps = scheduler_->timesteps();
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      state.next_step >= 0 && state.next_step < static_cast<int64_t>(timesteps.size()),
      "trajectory: expected a step below {}, found {}", timesteps.size(), state.next_step);
  const auto t = static_cast<float>(timesteps[static_cast<size_t>(state.next_step)]);
  return {{"hidden_states", state.latents},
          {"timestep", {{1}, {t}}},
          {"encoder_hidden_states", embeds[static_cast<size_t>(prompt)]}};
}

HostTensor Denoiser::predict(const TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
                             Branch branch, AttentionHook& hook) const {
  const ModelInputs checked = inputs(state, prompts, prompt, branch);
  return model_.forward(checked, site(state, prompt, branch), hook);
}

HostTensor Denoiser::pull_back(const TrajectoryState& state, const PromptSet& prompts,
                               int64_t prompt, Branch branch, AttentionHook& forward,
                               DifferentiableHook& backward, const Directions& directions) const {
  const ModelInputs checked = inputs(state, prompts, prompt, branch);
  return model_.pull_back(checked, site(state, prompt, branch), forward, backward, directions);
}

HostTensor Denoiser::guide(int64_t step, const HostTensor& conditional,
                           const HostTensor& unconditional) const {
  SPARSESCOPE_ASSERT(conditional.shape == unconditional.shape);
  const auto g = static_cast<float>(guidance_of(expert(step)));
  HostTensor guided = unconditional;
  for (size_t i = 0; i < guided.values.size(); ++i) {
    guided.values[i] += g * (conditional.values[i] - unconditional.values[i]);
  }
  return guided;
}

void Denoiser::step(TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
                    AttentionHook& hook) const {
  HostTensor output = predict(state, prompts, prompt, Branch::kConditional, hook);
  if (guided()) {
    output = guide(state.next_step, output,
                   predict(state, prompts, prompt, Branch::kUnconditional, hook));
  }
  scheduler_->advance(state, output);
}

std::vector<int64_t> latent_shape_from_video(const CheckpointFolder& folder, const ModelInfo& info,
                                             int64_t frames, int64_t height, int64_t width) {
  const LatentStrides stride = latent_strides(folder);
  const int64_t step_h = stride.spatial * info.patch_h, step_w = stride.spatial * info.patch_w;
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    frames > 0 && (frames - 1) % stride.temporal == 0 &&
                        ((frames - 1) / stride.temporal + 1) % info.patch_t == 0,
                    "--video: expected frames of the form {}k + 1, found {}", stride.temporal,
                    frames);
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    height > 0 && width > 0 && height % step_h == 0 && width % step_w == 0,
                    "--video: expected height and width divisible by {} and {}, found {} and {}",
                    step_h, step_w, height, width);
  return {1, info.out_channels, (frames - 1) / stride.temporal + 1, height / stride.spatial,
          width / stride.spatial};
}

std::vector<int64_t> latent_shape_from_grid(const ModelInfo& info, const TokenGrid& grid) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, grid.t > 0 && grid.h > 0 && grid.w > 0,
                    "--grid: expected three positive numbers, found {}", to_string(grid));
  return {1, info.out_channels, grid.t * info.patch_t, grid.h * info.patch_h,
          grid.w * info.patch_w};
}

}  // namespace sparsescope
