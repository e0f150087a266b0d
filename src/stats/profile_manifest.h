// The manifest of a profile: where its numbers come from. Its "run" object holds every setting that
// decides a number; two runs with equal ones give equal statistics.
#pragma once

#include <string>
#include <vector>

#include "stats/profile_runner.h"

namespace sparsescope {

// Producer, build (version, compiler, kernels), device and threads.
Json build_manifest(Impl impl, int threads);
// Tile, partitions, rows, precision of statistics and every approximation made.
Json record_manifest(const RecordOptions& record, const TokenGrid& grid, Impl impl);
// What is sampled, whatever is recorded meanwhile.
struct SampledTrajectories {
  const ModelInfo& model;
  const CheckpointFolder& folder;
  const PromptSet& prompts;
  const SamplingOptions& sampling;
  const std::vector<HostTensor>& latents;  // empty: drawn from the seed
  const std::string& precision;            // compute type of the model
  Impl impl;
};
// Checkpoint, prompts, sampler, precision and build, by name.
Json sampling_settings(const SampledTrajectories& run, const Denoiser& denoiser);
// Everything that decides the numbers of a profile over trajectories.
Json trajectory_settings(const TrajectoryRun& run, const Denoiser& denoiser);
// SHA-256 of each prompt's conditional embedding: the same prompt is found again under any name.
std::vector<std::string> prompt_hashes(const PromptSet& prompts);
// The last two components of a path: enough to recognise it, nothing about the machine.
std::string path_tail(const std::filesystem::path& path);

}  // namespace sparsescope
