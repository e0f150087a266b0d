// The kernels of the backward pass on Hopper: the same call as sparse_backward.h's.
#pragma once

#include "kernels/cuda/sparse_backward.h"

namespace sparsescope::cuda::sm90 {

// dk and dv; with_queries: dq as well, by atomic additions, so that its last bits depend on which
// block comes first. max_blocks: range blocks that there may be. Instantiated for __nv_bfloat16 and
// __half, D 64 and 128.
template <typename Elem, int kHeadDim>
void run_sparse_backward_keys(const SparseBackward<Elem>& call, bool with_queries,
                              int64_t max_blocks, cudaStream_t stream);

}  // namespace sparsescope::cuda::sm90
