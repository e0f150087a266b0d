// One finished step of a profile as a hashed safetensors file, with the raw statistics and the
// trajectory's state behind the step:
//   b0/l3/coverage_row   F64 [H, ...]  raw statistics of a site
//   map/b0/l3            F32 [H, N, N]
//   qkv/b0/l3/q          F32, what is kept whole of a call: kept_part.h
//   state/latents, state/history/0, ...  F32; state/counters I64
// Metadata: fingerprint of the run, axes of the statistics, place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "capture/record_hook.h"
#include "capture/site_statistics.h"
#include "model/scheduler.h"

namespace sparsescope {

struct ProfilePart {
  int64_t prompt = 0;
  int64_t step = 0;
  std::vector<SiteStatistics> sites;  // all branches and recorded layers of the step
  std::vector<RecordedCall> calls;    // kept whole; a reader leaves them in the file
  TrajectoryState state;              // after the step
  double seconds = 0;                 // spent on the step
};

std::string part_file_name(int64_t prompt, int64_t step);  // "p0000_s0003.safetensors"
void write_part_file(const std::filesystem::path& path, const ProfilePart& part,
                     const std::string& fingerprint);
// Error(kData) where the file is damaged or belongs to another run or place.
ProfilePart read_part_file(const std::filesystem::path& path, int64_t prompt, int64_t step,
                           const std::string& fingerprint);

}  // namespace sparsescope
