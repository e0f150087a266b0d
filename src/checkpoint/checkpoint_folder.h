// Where the parts of a checkpoint lie: a diffusers pipeline folder, a transformer folder, or a
// file.
#pragma once

#include <filesystem>
#include <optional>

#include "core/json_io.h"

namespace sparsescope {

struct CheckpointFolder {
  std::filesystem::path root;                          // as given by the user
  std::filesystem::path transformer;                   // what StateDict::open takes
  std::optional<std::filesystem::path> transformer_2;  // Wan 2.2 A14B: the low-noise expert
  std::optional<Json> model_index;
  std::optional<Json> config;    // the transformer's config.json
  std::optional<Json> config_2;  // transformer_2's
  std::optional<Json> scheduler_config;
  std::optional<std::filesystem::path> text_encoder;  // folder, of a class we can run
  std::optional<std::filesystem::path> codec;         // folder, of a class we can run
};

// Error(kData) names what was looked for and what lies there.
CheckpointFolder open_checkpoint_folder(const std::filesystem::path& path);

}  // namespace sparsescope
