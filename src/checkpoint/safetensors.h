// safetensors files: a memory-mapped reader that trusts nothing, and an atomic writer.
// Layout: u64 header length, JSON header, byte buffer; offsets are relative to the buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace sparsescope {

struct TensorInfo {
  std::string name;
  std::string dtype_text;      // as written in the file
  std::optional<Dtype> dtype;  // empty for a type this program does not know
  // An extent of 2^63 or more (legal in an empty tensor alone) stands as 2^63 - 1.
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes, relative to the buffer

  int64_t elements() const;
  uint64_t bytes() const { return end - begin; }
};

// A stored tensor. data may be misaligned for its type: copy, do not cast. The owner keeps the
// mapping alive.
struct StoredTensor {
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::shared_ptr<const void> owner;
};

// Values as fp32 (from any floating type; fp8 decoded without scale) or as int64 (from any integer
// type or bool); Error(kUnsupported) for the others, with name in the message.
std::vector<float> to_float(const StoredTensor& tensor, const std::string& name);
std::vector<int64_t> to_int64(const StoredTensor& tensor, const std::string& name);

class SafetensorsFile {
 public:
  // Every rule of the format is checked before a byte of data is used: Error(kData) names the file,
  // the place, what was expected and what was found.
  static SafetensorsFile open(const std::filesystem::path& path);

  const std::filesystem::path& path() const;
  const std::vector<TensorInfo>& tensors() const;  // in offset order
  const std::map<std::string, std::string>& metadata() const;
  const TensorInfo* find(const std::string& name) const;
  // Error(kData) where there is no such tensor, Error(kUnsupported) where its type is unknown.
  StoredTensor fetch(const std::string& name) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

struct TensorToWrite {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

// Sorted by descending element width, then name; header padded so that data are aligned. Atomic.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata, bool replace);

}  // namespace sparsescope
