// The running softmax of the rows that a thread holds parts of. Scores are in units of log2: a
// probability is exp2(score - max) / sum. The maximum follows the true one only when that has run
// kSlack ahead: factors up to 2^kSlack lose nothing in fp32, and most rescalings never happen.
#pragma once

#include <cmath>

#include "arch/math.cuh"

namespace sparsescope::cuda {

inline constexpr float kMaxSlack = 8.0f;

struct RowSoftmax {
  float max = -INFINITY;  // equal in all threads of the row
  float sum = 0.0f;       // of this thread's columns

  // Takes in the row's largest new score. Returns the factor for what was summed so far.
  __device__ float raise(float score) {
    if (!(score > max + kMaxSlack)) return 1.0f;
    const float factor = exp2_fast(max - score);
    max = score;
    sum *= factor;
    return factor;
  }
  // What to subtract from scores: finite also before the first score, when all of them are -inf.
  __device__ float shift() const { return max == -INFINITY ? 0.0f : max; }
};

// Of the four threads that share a row of a fragment.
__device__ inline float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}
__device__ inline float quad_sum(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, 1);
  return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

}  // namespace sparsescope::cuda
