// Architecture of one Wan checkpoint, read from the shapes of its tensors; config.json only fills
// what tensors cannot tell (heads, epsilon, the longest rotary axis).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/state_dict.h"
#include "core/json_io.h"

namespace sparsescope {

struct WanConfig {
  int64_t layers = 0;        // L
  int64_t heads = 0;         // H
  int64_t head_dim = 0;      // D
  int64_t channels = 0;      // C = H * D
  int64_t in_channels = 0;   // Cin
  int64_t out_channels = 0;  // Cout
  int64_t patch_t = 1, patch_h = 2, patch_w = 2;
  int64_t text_dim = 0;
  int64_t freq_dim = 0;  // length of the timestep's sinusoid
  int64_t ffn_dim = 0;
  int64_t image_dim = 0;       // 0: no image branch
  int64_t pos_embed_rows = 0;  // FLF2V: rows of both frames together; 0: none
  int64_t max_axis = 1024;     // longest axis of the rotary tables
  double eps = 1e-6;
  bool cross_attn_norm = true;
  bool has_gate_compress = false;

  bool has_image_branch() const { return image_dim > 0; }
  int64_t patch_volume() const { return patch_t * patch_h * patch_w; }
};

// weights under diffusers names. Appends a warning for every config value that the tensors
// contradict. Error(kData) where the two together leave the model undefined.
WanConfig detect_wan_config(const StateDict& weights, const std::optional<Json>& config,
                            std::vector<std::string>& warnings);

// "text-to-video", "image-to-video", "first-last-frame-to-video"
std::string wan_variant(const WanConfig& config);

}  // namespace sparsescope
