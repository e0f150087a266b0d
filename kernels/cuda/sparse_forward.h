// Block-sparse attention of a wave of heads: every strand's items, rows against the keys of their
// ranges.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/head_rows.h"
#include "kernels/cuda/strand_lists.h"

namespace sparsescope::cuda {

// What a row of a strand that merges has seen so far, beside its output: probabilities are
// exp2(score - max) / sum.
struct MergeState {
  float max, sum;
};

template <typename Elem>
struct SparseForward {
  HeadRows<Elem> q;           // by token
  HeadRows<Elem> k, v;        // by position in the selection's key order
  SparseSelection selection;  // device pointers
  StrandQueue queues[kNumHeights];
  int32_t heads = 1;        // H
  float scale_log2 = 1.0f;  // softmax scale times log2(e)
  HeadOutput out;
  RowCopies copies;                    // device pointers
  int32_t first_head = 0;              // of merge_states
  MergeState* merge_states = nullptr;  // [wave's heads, S] sum 0 at the launch
};

// max_blocks: thread blocks that share a queue. Instantiated for __nv_bfloat16 and __half, D 64 and
// 128.
template <typename Elem, int kHeadDim>
void run_sparse_forward(const SparseForward<Elem>& call, int32_t max_blocks, cudaStream_t stream);

}  // namespace sparsescope::cuda
