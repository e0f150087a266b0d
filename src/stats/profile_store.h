// The profile file: HDF5, version 1.
//   root attributes   format, version, manifest (JSON), grid, tile, and producer details
//   /stats/NAME       [prompt, branch, step, layer, head, ...] float32
//   /vmoba/PART/NAME  the same with the partition's own axis /vmoba/PART/k
//   /maps/pP_bB_sS_lL [head, query_tile, tile] float32
//   /qkv, /latents, /videos   what was kept whole: kept_store.h
//   /expert           [step] where two transformers share the steps
//   /recorded, /rows, and a dimension scale for every axis
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "stats/profile.h"

namespace sparsescope {

// Atomic; without replace an existing file is Error(kUsage).
void write_profile(const std::filesystem::path& path, const Profile& profile, bool replace);

// Error(kData) names the file, the place, what was expected and what was found; a version that this
// program does not know is Error(kUnsupported).
Profile read_profile(const std::filesystem::path& path);

// What is wrong with a file, in words; empty where nothing is. Beyond the structure: which sites
// hold values, ranges, sums that must be 1, and orders that must hold.
std::vector<std::string> check_profile(const std::filesystem::path& path);

// "p0_b1_s4_l2"
std::string map_name(int64_t prompt, int64_t branch, int64_t step, int64_t layer);
// Rows measured in a tile that no edge clips.
int64_t rows_of_full_tile(const Profile& profile);

}  // namespace sparsescope
