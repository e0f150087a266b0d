// The videos of a validation, HDF5, version 1: what dense and sparse attention made of the same
// noise.
//   root attributes   format, version, plan (hash), prompts (JSON list of texts), fingerprint (run)
//   /dense/pP, /sparse/pP                  [frame, height, width, rgb] uint8, with a codec
//   /dense_latents/pP, /sparse_latents/pP  [channel, frame, latent_height, latent_width] float32
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/codec.h"
#include "stats/kept_data.h"

namespace sparsescope {

struct SampledVideos {
  std::string plan, fingerprint;
  std::vector<std::string> prompts;
  std::vector<KeptArray<float>> dense, sparse;  // [prompts] of latents [C, F, Hl, Wl]
  std::shared_ptr<const LinearCodec> codec;     // null: latents alone
};

// Atomic; without replace an existing file is Error(kUsage). One array is in memory at a time.
void write_videos(const std::filesystem::path& path, const SampledVideos& videos, bool replace);

bool is_videos_file(const std::filesystem::path& path);
// Whether that run wrote the file.
bool holds_videos_of(const std::filesystem::path& path, const std::string& fingerprint);

struct VideosCheck {
  size_t prompts = 0;
  bool has_pixels = false;
};
// Error(kData) names the first place that is wrong.
VideosCheck check_videos(const std::filesystem::path& path);

}  // namespace sparsescope
