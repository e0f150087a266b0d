// Dense attention on Hopper: the same call as run_dense_forward, keys and values packed with heads
// at equal distances.
#pragma once

#include "kernels/cuda/dense_forward.h"

namespace sparsescope::cuda::sm90 {

// Instantiated for __nv_bfloat16 and __half, D 64 and 128.
template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream);

}  // namespace sparsescope::cuda::sm90
