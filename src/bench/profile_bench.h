// `bench profile`: what a profile costs beside the same trajectory without recording. Three runs of
// the same prompts and steps take turns:
//   plain       the sampler with dense attention
//   recorded    with the profiling hook; the statistics are dropped
//   profile     the whole command: recorded, parts written, joined to a file
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "bench/machine.h"
#include "bench/timing.h"
#include "core/distribution.h"
#include "core/progress.h"
#include "stats/sampling_request.h"

namespace sparsescope {

struct ProfileBenchOptions {
  SamplingRequest sampling;
  TileShape tile;
  std::string partitions = "auto";
  std::optional<int64_t> rows_per_tile;  // as in profile_request.h
  int threads = 1;
  TimingOptions timing;
  std::filesystem::path scratch;  // an existing folder; a new one inside it is used and removed
  std::map<std::string, std::string> environment;  // for the report
  std::string command_line;
};

struct TrajectoryTimes {
  Distribution whole;      // seconds
  Distribution attention;  // of these in attention calls
};

struct ProfileBenchReport {
  Machine machine;
  TokenGrid grid;
  int64_t prompts = 0, branches = 0, steps = 0, layers = 0, heads = 0;
  std::string precision;
  int threads = 1;
  TimingOptions timing;
  std::string command_line;
  double deviation = 0, bound = 0;  // of the recorded trajectory's last latents from the plain ones
  TrajectoryTimes plain, recorded;
  Distribution profile;
  Distribution overhead;  // profile / plain of each round

  double overhead_end_to_end() const { return profile.median / plain.whole.median; }
  // Where the time of the profile goes, seconds, from differences of medians.
  double model_seconds() const { return plain.whole.median - plain.attention.median; }
  double attention_seconds() const { return plain.attention.median; }
  double reducer_seconds() const { return recorded.attention.median - plain.attention.median; }
  // Keeping, hashing and writing the statistics.
  double writing_seconds() const {
    return profile.median - model_seconds() - recorded.attention.median;
  }
};

// Error(kInternal) where recording changes the trajectory; nothing is timed then.
ProfileBenchReport bench_profile(const ProfileBenchOptions& options, const RunMonitor& monitor);

Json to_json(const ProfileBenchReport& report);  // "format": "sparsescope-bench", kind "profile"
std::string to_table(const ProfileBenchReport& report);

}  // namespace sparsescope
