// Arithmetic that has instructions of its own.
#pragma once

namespace sparsescope::cuda {

// 2^x to 2 ulp; 0 for -infinity; results below 2^-126 become 0.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace sparsescope::cuda
