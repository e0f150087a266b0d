// Which files of a folder hold the weights, and which kinds of files this program reads.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sparsescope {

// Either an index, or the weight files themselves.
struct WeightFiles {
  std::optional<std::filesystem::path> index;
  std::vector<std::filesystem::path> files;  // empty with an index
  std::vector<std::string> warnings;
};

// In this order: diffusers' index, transformers' index, the only other index; the single file
// diffusion_pytorch_model.safetensors; the only .safetensors file; all files
// diffusion_pytorch_model*.safetensors together. Error(kData) names what lies in the folder,
// Error(kUnsupported) where there are only pickles or GGUF files.
WeightFiles find_weight_files(const std::filesystem::path& folder);

// Whether a folder holds weights or an index of them, in a format that is read or refused by name.
bool holds_weights(const std::filesystem::path& folder);

// Error(kUnsupported), with what to do, for pickles and GGUF files.
void check_weight_format(const std::filesystem::path& path);

// The names in a folder for messages, "a, b, c"; at most 20 of them.
std::string list_folder(const std::filesystem::path& folder);

}  // namespace sparsescope
