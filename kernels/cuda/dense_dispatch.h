// The one place that knows which body of the dense forward runs a call.
#pragma once

#include "kernels/cuda/cuda_attention.h"
#include "kernels/cuda/dense_forward.h"

namespace sparsescope::cuda {

// head_dim: 64 or 128, as the rows of the call are packed.
template <typename Elem>
void run_dense(Body body, int head_dim, const DenseForward<Elem>& call, cudaStream_t stream);

// Bytes of shared memory that a thread block takes; num_bins 0: plain attention.
int64_t dense_shared_bytes(Body body, int head_dim, int64_t num_bins);

// Row blocks that run on a multiprocessor at one time, if shared memory allows.
int dense_row_blocks(Body body, int head_dim, bool with_masses);

}  // namespace sparsescope::cuda
