// Sorts in shared or global memory by one block of threads: a bitonic network, whose steps depend
// on the size alone. And the keys that values are ranked by, here and in warp_sort.cuh.
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

// Integers in the order of floats; -0 counts as 0.
__device__ inline uint32_t ordered_bits(float value) {
  const uint32_t bits = __float_as_uint(value + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ inline float float_of_ordered(uint32_t bits) {
  return __uint_as_float((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

// Ascending keys are values descending, equal ones by number.
__device__ inline uint64_t rank_key(float value, int number) {
  return uint64_t{~ordered_bits(value)} << 32 | static_cast<uint32_t>(number);
}
__device__ inline float value_of_key(uint64_t key) {
  return float_of_ordered(~static_cast<uint32_t>(key >> 32));
}
__device__ inline int number_of_key(uint64_t key) { return static_cast<int>(key & 0xffffffffu); }

// keys [size], a power of two, ascending. All threads of the block call; barriers at both ends.
template <int kThreads, typename Key>
__device__ inline void sort_keys(Key* keys, int size) {
  __syncthreads();
  for (int run = 2; run <= size; run *= 2) {
    for (int step = run / 2; step > 0; step /= 2) {
      for (int pair = static_cast<int>(threadIdx.x); pair < size / 2; pair += kThreads) {
        const int low = 2 * pair - (pair & (step - 1));
        const Key a = keys[low], b = keys[low + step];
        if ((a > b) == ((low & run) == 0)) {
          keys[low] = b;
          keys[low + step] = a;
        }
      }
      __syncthreads();
    }
  }
}

}  // namespace sparsescope::cuda
