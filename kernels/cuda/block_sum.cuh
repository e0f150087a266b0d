// Sums over the threads of a block, in an order that depends on nothing.
#pragma once

namespace sparsescope::cuda {

__device__ inline double warp_sum(double value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
  return value;
}
__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
  return value;
}

// The same in every thread. of_warp [kThreads / 32] is shared; free again when all have returned
// from the next barrier.
template <int kThreads>
__device__ inline double block_sum(double value, double* of_warp) {
  const int thread = static_cast<int>(threadIdx.x);
  value = warp_sum(value);
  if (thread % 32 == 0) of_warp[thread / 32] = value;
  __syncthreads();
  double sum = 0.0;
  for (int warp = 0; warp < kThreads / 32; ++warp) sum += of_warp[warp];
  return sum;
}

}  // namespace sparsescope::cuda
