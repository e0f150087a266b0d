// Sums over the threads before one, of a warp and of a block.
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

// The sum of value over the lanes up to this one. All lanes of the warp call.
template <typename T>
__device__ inline T warp_inclusive_sum(T value, int lane) {
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const T before = __shfl_up_sync(0xffffffffu, value, distance);
    if (lane >= distance) value += before;
  }
  return value;
}

// The sum of value over the threads before this one; total: over all kThreads. Every thread of the
// block calls it.
template <int kThreads, typename T>
__device__ inline T block_exclusive_sum(T value, T& total) {
  constexpr int kWarps = kThreads / 32;
  static_assert(kThreads % 32 == 0 && kWarps <= 32);
  __shared__ T of_warp[kWarps];
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const T sum = warp_inclusive_sum(value, lane);
  __syncthreads();  // of_warp may still be read for the sum before this one
  if (lane == 31) of_warp[warp] = sum;
  __syncthreads();
  T before_warp = 0;
  total = 0;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) {
    if (i < warp) before_warp += of_warp[i];
    total += of_warp[i];
  }
  return before_warp + sum - value;
}

}  // namespace sparsescope::cuda
