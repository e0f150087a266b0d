// The kernels of the backward pass on Hopper: the same call as sparse_backward.h's.
#pragma once

#include "kernels/cuda/sparse_backward.h"

namespace sparsescope::cuda::sm90 {

// Whether dq's rows are aligned to 16 bytes and of a multiple of four columns: additions to global
// memory take four at a time.
inline bool in_quads(const HeadOutput& dq) {
  const int64_t strides = dq.stride_batch | dq.stride_head | dq.stride_token | dq.head_dim;
  return strides % 4 == 0 && reinterpret_cast<uintptr_t>(dq.data) % (4 * sizeof(float)) == 0;
}

// All are instantiated for __nv_bfloat16 and __half, D 64 and 128.

// dk and dv; with_queries: dq as well, which is in quads, by atomic additions: its last bits depend
// on which block comes first. max_blocks: range blocks that there may be.
template <typename Elem, int kHeadDim>
void run_sparse_backward_keys(const SparseBackward<Elem>& call, bool with_queries,
                              int64_t max_blocks, cudaStream_t stream);

// dq by itself, every sum in one order. At least one key; max_blocks: thread blocks that share a
// queue.
template <typename Elem, int kHeadDim>
void run_sparse_backward_rows(const SparseBackward<Elem>& call, int32_t max_blocks,
                              cudaStream_t stream);

}  // namespace sparsescope::cuda::sm90
