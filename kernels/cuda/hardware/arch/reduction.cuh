// Sums in global memory that several thread blocks add to, in whatever order they come (red). Four
// at a time need sm_90.
#pragma once

namespace sparsescope::cuda {

// to[0 .. 4) += values; to is aligned to 16 bytes. Each of the four is atomic by itself.
__device__ inline void add_to_global(float* to, float4 values) {
  asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(values.x),
               "f"(values.y), "f"(values.z), "f"(values.w)
               : "memory");
}

}  // namespace sparsescope::cuda
