// Block-sparse attention on Hopper: the same call as run_sparse_forward, keys and values packed
// with heads at equal distances, at least one key.
#pragma once

#include "kernels/cuda/sparse_forward.h"

namespace sparsescope::cuda::sm90 {

// Instantiated for __nv_bfloat16 and __half, D 64 and 128.
template <typename Elem, int kHeadDim>
void run_sparse_forward(const SparseForward<Elem>& call, int32_t max_blocks, cudaStream_t stream);

}  // namespace sparsescope::cuda::sm90
