// What a user says about a sampling run (checkpoint, prompts, size, sampler), and the loaded things
// that it stands for. Every choice that was left open is decided here.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/denoiser.h"

namespace sparsescope {

struct SamplingRequest {
  std::filesystem::path checkpoint;
  std::filesystem::path prompts;      // a text file, or
  std::filesystem::path text_embeds;  // embeddings
  std::vector<int64_t> video;         // frames, height, width in pixels, or
  std::vector<int64_t> grid;          // T, Hg, Wg in tokens, or neither with latents
  std::filesystem::path latents;      // [n, C, t, h, w]; empty: drawn from the seed
  std::optional<int64_t> steps;
  std::optional<double> guidance, guidance_2, shift;  // guidance_2: of the low-noise expert
  std::string scheduler;
  uint64_t seed = 0;
  LoadOptions load;
};

struct LoadedSampling {
  CheckpointFolder folder;
  std::unique_ptr<VideoTransformer> model;
  PromptSet prompts;
  SamplingOptions sampling;
  std::vector<HostTensor> latents;  // [1, C, F, Hl, Wl] a prompt, or empty
};

// Checks everything that can be checked before the weights are read.
LoadedSampling load_sampling(const SamplingRequest& request);

}  // namespace sparsescope
