#include "model/detect.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"
#include "model/fp8_scales.h"
#include "model/key_prefixes.h"
#include "model/wan_names.h"
#include "model/wan_schema.h"

namespace sparsescope {
namespace {

constexpr std::string_view kSupported = "supported: Wan (WanTransformer3DModel)";

struct Marker {
  std::string_view prefix;  // of a tensor's name
  std::string_view family;
};

// Extensions of Wan that change what the model computes.
constexpr std::array kWanExtensions = {
    Marker{"vace_", "Wan VACE"},
    Marker{"motion_encoder.", "Wan Animate"},
    Marker{"face_encoder.", "Wan Animate"},
    Marker{"face_adapter.", "Wan Animate"},
    Marker{"casual_audio_encoder.", "Wan S2V"},
};

constexpr std::array kOtherFamilies = {
    Marker{"cond_type_embed", "HunyuanVideo-1.5"},
    Marker{"byt5_in.", "HunyuanVideo-1.5"},
    Marker{"single_transformer_blocks.0.proj_mlp.", "HunyuanVideo"},
    Marker{"single_blocks.0.linear1.", "HunyuanVideo"},
    Marker{"patch_embed.text_proj.", "CogVideoX"},
    Marker{"caption_projection.", "LTX-Video"},
    Marker{"patchify_proj.", "LTX-Video"},
    Marker{"pos_frequencies", "Mochi"},
    Marker{"t5_y_embedder.", "Mochi"},
};

template <size_t N>
std::string_view family_of(const std::vector<std::string>& names,
                           const std::array<Marker, N>& markers) {
  for (const Marker& marker : markers) {
    const bool found = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name.starts_with(marker.prefix);
    });
    if (found) return marker.family;
  }
  return {};
}

std::string config_class(const CheckpointFolder& folder) {
  if (!folder.config || !folder.config->is_object()) return {};
  const auto it = folder.config->find("_class_name");
  return it != folder.config->end() && it->is_string() ? it->get<std::string>() : std::string();
}

// Tensors decide; the config's class counts only where a damaged file lacks the marker tensor, so
// that the message names what is missing.
void check_family(const StateDict& weights, const std::string& class_name) {
  const std::vector<std::string> names = weights.names();
  const std::string path = weights.path().string();
  if (const std::string_view extension = family_of(names, kWanExtensions); !extension.empty()) {
    fail(ErrorKind::kUnsupported, "{}: {} is not supported; {}", path, extension, kSupported);
  }
  if (weights.contains("condition_embedder.time_proj.weight")) return;
  if (const std::string_view other = family_of(names, kOtherFamilies); !other.empty()) {
    fail(ErrorKind::kUnsupported, "{}: {} is not supported; {}", path, other, kSupported);
  }
  if (class_name == "WanTransformer3DModel" || class_name == "WanModel") return;
  fail(ErrorKind::kUnsupported, "{}: unknown model family{}; {}", path,
       class_name.empty() ? "" : " (config.json: " + class_name + ")", kSupported);
}

bool has_original_names(const StateDict& weights) {
  return weights.contains("head.modulation") || weights.contains("head.head.weight") ||
         weights.contains("time_projection.1.weight");
}

// Rows that the published image encoder gives for one frame, where the tensors do not tell.
constexpr int64_t kClipRows = 257;

int64_t image_rows(const WanConfig& config) {
  if (!config.has_image_branch()) return 0;
  return config.pos_embed_rows > 0 ? config.pos_embed_rows : kClipRows;
}

ModelInfo make_info(const WanConfig& config) {
  ModelInfo info{.family = "wan",
                 .class_name = "WanTransformer3DModel",
                 .variant = wan_variant(config),
                 .layers = config.layers,
                 .heads = config.heads,
                 .head_dim = config.head_dim,
                 .patch_t = config.patch_t,
                 .patch_h = config.patch_h,
                 .patch_w = config.patch_w,
                 .in_channels = config.in_channels,
                 .out_channels = config.out_channels,
                 .text_dim = config.text_dim,
                 .ffn_dim = config.ffn_dim,
                 .image_rows = image_rows(config),
                 .parameters = wan_parameters(config),
                 .has_gate_compress = config.has_gate_compress,
                 .checkpoint_hash = {},
                 .layer_names = {},
                 .warnings = {}};
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    info.layer_names.push_back(wan_block_prefix(layer) + "attn1");
  }
  return info;
}

}  // namespace

DetectedModel detect_model(const CheckpointFolder& folder, StateDict weights) {
  std::vector<std::string> warnings = weights.warnings();
  for (std::string& remark : normalise_prefixes(weights)) warnings.push_back(std::move(remark));
  if (has_original_names(weights)) weights.rename(wan_diffusers_name);
  const std::string class_name = config_class(folder);
  check_family(weights, class_name);
  if (!class_name.empty() && class_name != "WanTransformer3DModel" && class_name != "WanModel") {
    warnings.push_back(
        fmt::format("config.json: _class_name is {}, the tensors say {}: loaded by the "
                    "tensors",
                    class_name, "WanTransformer3DModel"));
  }
  const WanConfig config = detect_wan_config(weights, folder.config, warnings);
  for (std::string& remark : review_quantisation(weights)) warnings.push_back(std::move(remark));
  check_wan_tensors(weights, config);
  if (config.has_gate_compress) {
    warnings.push_back(
        "to_gate_compress weights (VSA) are not used: attention is as the hook computes it");
  }
  if (folder.transformer_2) {
    warnings.push_back(fmt::format("{} (the low-noise expert) is not used",
                                   folder.transformer_2->filename().string()));
  }
  ModelInfo info = make_info(config);
  info.warnings = std::move(warnings);
  return {std::move(weights), config, std::move(info)};
}

ModelInfo describe_checkpoint(const CheckpointFolder& folder, const StateDict& weights) {
  return detect_model(folder, weights).info;
}

}  // namespace sparsescope
