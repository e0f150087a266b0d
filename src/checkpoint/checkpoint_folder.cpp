#include "checkpoint/checkpoint_folder.h"

#include <string_view>

#include "checkpoint/weight_files.h"
#include "core/error.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

// A JSON object, or nothing where there is no such file.
std::optional<Json> read_config(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  Json json = read_json_file(path);
  SPARSESCOPE_CHECK(ErrorKind::kData, json.is_object(), "{}: expected a JSON object, found {}",
                    path.string(), json.type_name());
  return json;
}

// The folder, where its config.json names the class that this program runs.
std::optional<fs::path> folder_of_class(const fs::path& folder, std::string_view class_name) {
  const std::optional<Json> config = read_config(folder / "config.json");
  if (!config) return std::nullopt;
  const auto found = config->find("_class_name");
  const bool matches = found != config->end() && found->is_string() &&
                       found->get_ref<const std::string&>() == class_name;
  return matches ? std::optional(folder) : std::nullopt;
}

std::optional<fs::path> existing_folder(const fs::path& folder) {
  return fs::is_directory(folder) ? std::optional(folder) : std::nullopt;
}

// Where the weights lie in a folder, by the layouts of diffusers and of the original repositories.
void find_transformers(CheckpointFolder& folder) {
  const fs::path& root = folder.root;
  if (const auto transformer = existing_folder(root / "transformer")) {
    folder.transformer = *transformer;
    folder.transformer_2 = existing_folder(root / "transformer_2");
  } else if (const auto high_noise = existing_folder(root / "high_noise_model")) {
    folder.transformer = *high_noise;
    folder.transformer_2 = existing_folder(root / "low_noise_model");
  } else {
    SPARSESCOPE_CHECK(ErrorKind::kData, !folder.model_index && holds_weights(root),
                      "{}: expected a folder transformer/{}, found {}", root.string(),
                      folder.model_index ? "" : " or *.safetensors files", list_folder(root));
    folder.transformer = root;
  }
}

}  // namespace

CheckpointFolder open_checkpoint_folder(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  SPARSESCOPE_CHECK(ErrorKind::kData, fs::exists(status), "{}: there is no such file or folder",
                    path.string());
  CheckpointFolder folder;
  folder.root = path;
  if (!fs::is_directory(status)) {
    folder.transformer = path;
    folder.config = read_config(path.parent_path() / "config.json");
    return folder;
  }
  folder.model_index = read_config(path / "model_index.json");
  find_transformers(folder);
  folder.config = read_config(folder.transformer / "config.json");
  if (folder.transformer_2) folder.config_2 = read_config(*folder.transformer_2 / "config.json");
  folder.scheduler_config = read_config(path / "scheduler" / "scheduler_config.json");
  folder.text_encoder = folder_of_class(path / "text_encoder", "WordEmbedding");
  folder.codec = folder_of_class(path / "codec", "LinearCodec");
  return folder;
}

}  // namespace sparsescope
