// What the emulated driver keeps in the opaque bytes of a tensor map.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <cstring>

namespace emulator {

inline constexpr int kMaxRank = 5;

struct TensorMap {
  static constexpr uint16_t kMagic = 0x7e45;
  uint16_t magic = 0;  // zero: nobody encoded this map
  uint8_t rank = 0;
  uint8_t element_bytes = 0;
  uint8_t swizzle_bytes = 0;  // 0, 32, 64 or 128
  const void* base = nullptr;
  uint32_t extents[kMaxRank] = {};  // elements
  uint64_t strides[kMaxRank] = {};  // bytes; the innermost is the element's size
  uint16_t box[kMaxRank] = {};
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));

inline TensorMap tensor_map(const CUtensorMap& opaque) {
  TensorMap map;
  std::memcpy(static_cast<void*>(&map), &opaque, sizeof map);
  return map;
}

}  // namespace emulator
