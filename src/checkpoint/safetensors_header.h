// The front of a safetensors file, from bytes in memory: every rule of the format in one strict
// pass, without a file and without trust. What comes out describes the whole byte buffer exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace sparsescope {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxRank = 8;

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in offset order, without holes or overlaps
  std::map<std::string, std::string> metadata;
  uint64_t buffer_offset = 0;  // of the byte buffer in the file
};

// file is the whole file; what names it in messages. Error(kData) says the place, what was expected
// and what was found. Memory is bounded by the header's length, whatever the numbers in it claim.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& what);

}  // namespace sparsescope
