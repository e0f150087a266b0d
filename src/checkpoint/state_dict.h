// The tensors of one model, from one file or from shards, fetched by name with the expected shape
// stated at the point of use, so that the loading code is the model's schema.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace sparsescope {

class StateDict {
 public:
  // A .safetensors file, an index .json, or a folder (index, single file, or shards; the order of
  // loading and what is refused: see weight_files.h). Error(kData) or
  // Error(kUnsupported) for pickles.
  static StateDict open(const std::filesystem::path& path);

  bool contains(const std::string& name) const;
  const TensorInfo& info(const std::string& name) const;  // Error(kData) where missing
  std::vector<std::string> names() const;                 // sorted

  // "FILE: blocks.3.attn1.to_q.weight: expected [5120, 5120], found bf16 [5120, 1536]". Marks the
  // name as used.
  StoredTensor fetch(const std::string& name, const std::vector<int64_t>& expected_shape) const;
  void mark_used(const std::string& name) const;
  std::vector<std::string> unused() const;

  // Replaces every name by rename(name); an empty result drops the tensor (and counts it as
  // skipped). Two names that become one are Error(kData).
  void rename(const std::function<std::string(const std::string&)>& rename);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<std::filesystem::path>& files() const { return files_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  uint64_t total_bytes() const;
  // SHA-256 over the sorted (file name, file hash) pairs.
  std::string content_hash() const;

 private:
  struct Entry {
    size_t file = 0;
    std::string stored_name;
  };
  size_t open_file(const std::filesystem::path& path);  // its index in files_
  void add_whole_file(const std::filesystem::path& path);
  void add_indexed(const std::filesystem::path& index);
  const Entry& entry(const std::string& name) const;

  std::filesystem::path path_;
  std::vector<std::filesystem::path> files_;
  std::vector<SafetensorsFile> opened_;
  std::map<std::string, Entry> entries_;
  std::vector<std::string> warnings_;
  mutable std::set<std::string> used_;
};

}  // namespace sparsescope
