// One finished step as a safetensors file:
//   b0/l3/coverage_row   F64 [H, ...]  raw statistics of a site
//   map/b0/l3            F32 [H, N, N]
//   state/latents, state/history/0, ...  F32; state/counters I64
// Metadata: sha256 over everything else, fingerprint of the run, axes of the statistics, place.
#pragma once

#include <filesystem>
#include <string>

#include "stats/profile_parts.h"

namespace sparsescope {

std::string part_file_name(int64_t prompt, int64_t step);  // "p0000_s0003.safetensors"
void write_part_file(const std::filesystem::path& path, const ProfilePart& part,
                     const std::string& fingerprint);
// Error(kData) where the file is damaged or belongs to another run or place.
ProfilePart read_part_file(const std::filesystem::path& path, int64_t prompt, int64_t step,
                           const std::string& fingerprint);

}  // namespace sparsescope
