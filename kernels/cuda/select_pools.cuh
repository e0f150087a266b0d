// What the kernels of select_pools.h share: the numbers of pools, and the state of the search for
// their cuts.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_pools.h"

namespace sparsescope::cuda {

// The pool of a block's entries in a plane.
__device__ inline int32_t pool_of(const Pools& pools, int32_t plane, int32_t column) {
  if (pools.rule.span == PoolSpan::kPlane) return plane;
  const int32_t sample = plane / pools.heads;
  return pools.rule.span == PoolSpan::kSample ? sample : sample * pools.num_tiles + column;
}

// Of PoolState::search.
enum Search : int32_t { kByWeight, kByCount, kDone };

// Bits of a key, from shift on; first: the upper ones.
struct Digit {
  int shift, bits;
  bool first;

  __device__ bool holds(uint32_t key, uint32_t prefix) const {
    return first || key >> (shift + bits) == prefix;
  }
  __device__ uint32_t place(uint32_t key) const { return key >> shift & ((1u << bits) - 1); }
};
inline Digit digit_of(int32_t index) {
  static_assert(kPoolDigits == 3 && kPoolPlaces == 1 << 11);
  constexpr Digit kDigits[] = {{21, 11, true}, {10, 11, false}, {0, 10, false}};
  return kDigits[index];
}

}  // namespace sparsescope::cuda
