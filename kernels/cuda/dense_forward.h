// Dense attention of a range of heads: every row block against every key block.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/row_groups.h"
#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda {

template <typename Elem>
struct DenseForward {
  HeadRows<Elem> q;       // rows by token
  HeadRows<Elem> k, v;    // rows by key slot, 64 a key block; zeros in idle slots
  const uint64_t* valid;  // [num_key_blocks] bit of every slot that holds a token
  int32_t num_key_blocks = 0;
  const RowBlock* row_blocks;  // [num_row_blocks] into row_order
  int32_t num_row_blocks = 0;
  const int32_t* row_order;  // position -> token
  int32_t first_head = 0, num_heads = 0;
  float scale_log2 = 1.0f;  // softmax scale times log2(e)
  HeadOutput out;
};

// Instantiated for __nv_bfloat16 and __half, D 64 and 128.
template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream);

}  // namespace sparsescope::cuda
