// A safetensors file whose metadata say what it is and hold a SHA-256 over everything else: the
// form of a run's finished parts.
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace sparsescope {

using Metadata = std::map<std::string, std::string>;

// Adds "sha256" to the metadata. Atomic; an existing file is replaced.
void write_hashed_tensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                          Metadata metadata);
// Error(kData) where the content does not fit its hash, or the metadata lack any of identity.
SafetensorsFile open_hashed_tensors(const std::filesystem::path& path, const Metadata& identity);

std::vector<std::string> sorted_tensor_names(const SafetensorsFile& file);
// Error(kData) where it is missing.
std::string metadata_text(const SafetensorsFile& file, const std::string& key);

// The elements of a tensor whose type is known to be T's.
template <typename T>
std::vector<T> values_of(const StoredTensor& tensor) {
  std::vector<T> values(tensor.bytes / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.data, tensor.bytes);
  return values;
}

}  // namespace sparsescope
