// `profile` as one call: from what the user typed to the profile on disk.
#pragma once

#include "stats/profile_runner.h"
#include "stats/sampling_request.h"

namespace sparsescope {

struct ProfileRequest {
  SamplingRequest sampling;
  std::vector<std::filesystem::path> qkv;  // captured q, k, v instead of a checkpoint
  int64_t prefix = 0, suffix = 0;          // text tokens around the video, for qkv
  TileShape tile;
  std::string partitions = "auto";       // as in parse_partitions
  std::optional<int64_t> rows_per_tile;  // 0: all rows
  std::string record_prompts = "all", record_steps = "all", record_layers = "all", maps;
  std::string keep_qkv;  // sites, as in maps
  bool keep_videos = false;
  std::optional<int64_t> error_tiles;  // 0: none
  int64_t sensitivity = 0, probes = 4;
  std::filesystem::path around;  // a plan in force while effects are measured
  bool effects_only = false;
  OutputOptions out;
  int threads = 1;
  std::string command_line;
};

ProfileOutcome run_profile(const ProfileRequest& request, const RunMonitor& monitor);
// The same with what request.sampling stands for loaded already.
ProfileOutcome run_profile(const ProfileRequest& request, const LoadedSampling& loaded,
                           ThreadPool& pool, const RunMonitor& monitor);

}  // namespace sparsescope
