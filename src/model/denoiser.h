// One denoising trajectory, a call at a time, so that callers can stop between steps, repeat a step
// with another hook, or compare outputs.
#pragma once

#include <cstdint>
#include <memory>

#include "model/experts.h"
#include "model/prompts.h"
#include "model/scheduler.h"
#include "model/video_transformer.h"

namespace sparsescope {

struct SamplingOptions {
  int64_t steps = 20;
  double guidance = 1.0;             // <= 1: the conditional branch alone
  std::optional<double> guidance_2;  // of the low-noise expert; empty: guidance
  std::string scheduler;             // empty: the checkpoint's own
  std::optional<double> shift;
  uint64_t seed = 0;
  std::vector<int64_t> latent_shape;  // [1, C, F, Hl, Wl]
};

class Denoiser {
 public:
  // model: of load_experts where the folder holds two experts.
  Denoiser(VideoTransformer& model, const CheckpointFolder& folder, const SamplingOptions& options);

  const Scheduler& scheduler() const { return *scheduler_; }
  bool guided() const { return options_.guidance > 1.0; }
  int64_t num_branches() const { return guided() ? 2 : 1; }
  // Empty for a single transformer.
  const std::optional<ExpertBoundary>& boundary() const { return boundary_; }
  int64_t expert(int64_t step) const;        // which transformer runs the step
  std::vector<int64_t> experts() const;      // [steps]; empty for a single transformer
  double guidance_of(int64_t expert) const;  // 1 where the conditional branch runs alone
  TokenGrid token_grid() const;
  // Standard normal latents of a prompt, from the seed and the prompt's index alone.
  HostTensor initial_noise(int64_t prompt) const;
  // The model's output for one branch at state's latent and step. site.layer is filled in.
  HostTensor predict(const TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
                     Branch branch, AttentionHook& hook) const;
  // The same, and the pull-back of directions: VideoTransformer::pull_back.
  HostTensor pull_back(const TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
                       Branch branch, AttentionHook& forward, DifferentiableHook& backward,
                       const Directions& directions) const;
  // u + g * (c - u) with the guidance of the step's expert
  HostTensor guide(int64_t step, const HostTensor& conditional,
                   const HostTensor& unconditional) const;
  // predict for all branches, guide, advance.
  void step(TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
            AttentionHook& hook) const;

 private:
  SiteKey site(const TrajectoryState& state, int64_t prompt, Branch branch) const;
  ModelInputs inputs(const TrajectoryState& state, const PromptSet& prompts, int64_t prompt,
                     Branch branch) const;

  VideoTransformer& model_;
  SamplingOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
  std::optional<ExpertBoundary> boundary_;
};

// [1, C, F, Hl, Wl] of a video given in pixels (frames, height, width) or in tokens. Uses the
// codec's strides where the folder has one, else Wan's (4, 8, 8).
std::vector<int64_t> latent_shape_from_video(const CheckpointFolder& folder, const ModelInfo& info,
                                             int64_t frames, int64_t height, int64_t width);
std::vector<int64_t> latent_shape_from_grid(const ModelInfo& info, const TokenGrid& grid);

}  // namespace sparsescope
