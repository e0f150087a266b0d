// Products of all rows of two fp32 matrices, a head each: pooled scores, and the gates of VMoBA.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda {

// products [num_heads, num_a, num_b] = a [num_heads, num_a, depth] times b [num_heads, num_b,
// depth] transposed
void multiply_rows(const float* a, int32_t num_a, const float* b, int32_t num_b, int32_t num_heads,
                   int32_t depth, float* products, cudaStream_t stream);

}  // namespace sparsescope::cuda
