// The 16-bit element types of the matrix products.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparsescope::cuda {

template <typename Elem>
__device__ inline Elem to_element(float value) {
  if constexpr (std::is_same_v<Elem, __nv_bfloat16>) {
    return __float2bfloat16_rn(value);
  } else if constexpr (std::is_same_v<Elem, __half>) {
    return __float2half_rn(value);
  } else {
    return value;
  }
}

__device__ inline float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ inline float to_float(__half value) { return __half2float(value); }
__device__ inline float to_float(float value) { return value; }

// Two neighbours of a fragment, the first in the low half.
template <typename Elem>
__device__ inline uint32_t pack_pair(float first, float second) {
  uint32_t bits;
  if constexpr (std::is_same_v<Elem, __nv_bfloat16>) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    std::memcpy(&bits, &pair, sizeof bits);
  } else {
    const __half2 pair = __floats2half2_rn(first, second);
    std::memcpy(&bits, &pair, sizeof bits);
  }
  return bits;
}

}  // namespace sparsescope::cuda
