// The twin of the copy engine: the box arrives as late as the emulator may let it, until then the
// target holds NaN bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "arch/transaction_barrier.cuh"
#include "emulator/engine.h"
#include "emulator/tensor_map.h"

namespace sparsescope::cuda {
namespace twin {

using Coordinates = std::array<int, 4>;

// Writes the element at byte offset of the box, swizzled: the 16-byte chunks of a 128-byte row are
// permuted by bits 7 to 9 of the shared address.
inline uint32_t swizzled_128(uint32_t address) { return address ^ (address >> 3 & 0x70u); }

inline void land(const emulator::TensorMap& map, const Coordinates& first, uint32_t target) {
  const size_t bytes = map.element_bytes;
  uint32_t offset = 0;
  Coordinates i{};
  for (i[3] = 0; i[3] < map.box[3]; ++i[3]) {
    for (i[2] = 0; i[2] < map.box[2]; ++i[2]) {
      for (i[1] = 0; i[1] < map.box[1]; ++i[1]) {
        for (i[0] = 0; i[0] < map.box[0]; ++i[0], offset += map.element_bytes) {
          const char* source = static_cast<const char*>(map.base);
          bool inside = true;
          for (int d = 0; d < 4; ++d) {
            const int64_t at = int64_t{first[d]} + i[d];
            inside = inside && at >= 0 && at < int64_t{map.extents[d]};
            source += at * static_cast<int64_t>(map.strides[d]);
          }
          unsigned char* to = emulator::shared_pointer(swizzled_128(target + offset), bytes);
          if (inside) {
            std::memcpy(to, source, bytes);
          } else {
            std::memset(to, 0, bytes);
          }
        }
      }
    }
  }
}

}  // namespace twin

inline void prefetch_map(const CUtensorMap&) {}

inline void copy_box(void* shared, const CUtensorMap& opaque, TransactionBarrier& barrier, int c0,
                     int c1, int c2, int c3) {
  const emulator::TensorMap map = emulator::tensor_map(opaque);
  if (map.magic != emulator::TensorMap::kMagic || map.rank != 4) {
    throw emulator::Fault("emulator: a copy without a 4-D tensor map");
  }
  if (map.swizzle_bytes != 128 || map.box[0] * map.element_bytes != 128) {
    throw emulator::Fault("emulator: of swizzles only that of full 128-byte rows is known");
  }
  const uint32_t target = emulator::shared_address(shared);
  if (target % 128 != 0) throw emulator::Fault("emulator: a copy's target is not aligned to 128");
  const int bytes = map.box[0] * map.box[1] * map.box[2] * map.box[3] * map.element_bytes;
  constexpr int kPoison = 0xff;
  std::memset(emulator::shared_pointer(target, static_cast<size_t>(bytes)), kPoison,
              static_cast<size_t>(bytes));
  twin::phase_state(barrier);
  emulator::defer([map, target, bytes, &barrier, first = twin::Coordinates{c0, c1, c2, c3}] {
    twin::land(map, first, target);
    twin::count_at(barrier, 0, bytes);
  });
}

}  // namespace sparsescope::cuda
