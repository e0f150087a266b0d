// Checkpoints of two experts (Wan 2.2 A14B): one transformer for high noise, one for low noise. The
// timestep alone tells which of them runs a step, so that a step belongs to exactly one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "model/video_transformer.h"

namespace sparsescope {

// As SiteKey::expert has them.
inline constexpr int64_t kHighNoise = 0, kLowNoise = 1;

// Where the low-noise expert takes over, by the rule of diffusers' WanPipeline.
struct ExpertBoundary {
  double ratio = 0;     // boundary_ratio of model_index.json
  double timestep = 0;  // ratio times the scheduler's training timesteps
  // High noise from the boundary upwards, itself included. Both sides are fp32 there.
  int64_t expert(double t) const {
    return static_cast<float>(t) >= static_cast<float>(timestep) ? kHighNoise : kLowNoise;
  }
};

// Of model_index.json. Error(kData) for anything but a number from 0 to 1.
std::optional<double> boundary_ratio(const CheckpointFolder& folder);
// Nothing for a single transformer. Error(kData) where two transformers stand without a
// boundary_ratio between 0 and 1, or a boundary_ratio without a second transformer.
std::optional<ExpertBoundary> expert_boundary(const CheckpointFolder& folder);

// Noise falls from step to step: where the low-noise expert begins; the number of steps where it
// runs none. experts: [steps]
int64_t first_low_noise_step(const std::vector<int64_t>& experts);

// The folder as if it held this expert alone, with the expert's own config.
CheckpointFolder expert_folder(const CheckpointFolder& folder, int64_t expert);

// Error(kData) names what differs between two experts that have to take each other's place.
void check_alike(const ModelInfo& high, const ModelInfo& low);

// One hash for both: SHA-256 of their two hashes, the high-noise expert's first, a line each.
std::string joint_checkpoint_hash(const std::vector<std::string>& expert_hashes);
// ModelInfo::checkpoint_hash of what load_experts loads.
std::string checkpoint_hash(const CheckpointFolder& folder);

// What the folder samples with: load_transformer of a single transformer, or both experts behind
// one, where site.expert names the one that runs. An expert is loaded when it first runs. Where
// options.max_memory does not hold both as each would be loaded alone, the one not in use is
// dropped.
std::unique_ptr<VideoTransformer> load_experts(const CheckpointFolder& folder,
                                               const LoadOptions& options);

}  // namespace sparsescope
