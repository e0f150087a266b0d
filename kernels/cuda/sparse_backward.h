// Gradients of block-sparse attention, of a wave of heads. Two kernels, so that every sum has one
// owner and its terms one order (sm90/sparse_backward.h can do without the first): by rows, dq of a
// strand's items against their keys; by keys, dk and dv of 64 keys of a range against the rows of
// the items that list it. Each recomputes the probabilities. P and dS are rounded to the element
// type for the products with d_out, q and k; sums are fp32.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/head_rows.h"
#include "kernels/cuda/key_blocks.h"
#include "kernels/cuda/row_terms.h"
#include "kernels/cuda/strand_lists.h"
#include "kernels/cuda/transposed_lists.h"

namespace sparsescope::cuda {

template <typename Elem>
struct SparseBackward {
  HeadRows<Elem> q, d_out;                // by token
  HeadRows<Elem> k, v;                    // by position in the selection's key order
  SparseSelection selection;              // device pointers
  int32_t heads = 1;                      // H
  float scale = 1.0f, scale_log2 = 1.0f;  // softmax scale, the same times log2(e)
  int32_t first_head = 0, num_heads = 0;
  const RowTerms* terms = nullptr;  // [num_heads, S]
  HeadOutput dq, dk, dv;            // zero at the launch; no lse

  StrandQueue queues[kNumHeights];  // by rows
  RangeItems range_items;           // by keys
  const RangeBlock* blocks = nullptr;
  const int32_t* num_blocks = nullptr;
  const int32_t* strand_counts = nullptr;  // [B * H]

  __device__ const RowTerms* terms_of(int32_t head) const {
    return terms + (head - first_head) * dq.tokens;
  }
};

// max_blocks: thread blocks that share a queue. Both are instantiated for __nv_bfloat16 and __half,
// D 64 and 128.
template <typename Elem, int kHeadDim>
void run_sparse_backward_rows(const SparseBackward<Elem>& call, int32_t max_blocks,
                              cudaStream_t stream);
// max_blocks: range blocks that there may be.
template <typename Elem, int kHeadDim>
void run_sparse_backward_keys(const SparseBackward<Elem>& call, int64_t max_blocks,
                              cudaStream_t stream);

}  // namespace sparsescope::cuda
