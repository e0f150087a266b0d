// Dense attention of a range of heads: every row block against every key block, with or without
// exact masses.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/row_groups.h"
#include "kernels/cuda/head_rows.h"
#include "kernels/cuda/key_bricks.h"

namespace sparsescope::cuda {

// What mass_chunk.h describes, of the heads and row blocks of one call.
struct MassOutput {
  const KeyBlockPlace* blocks = nullptr;  // [num_key_blocks]
  const KeyBrick* bricks = nullptr;       // [num_key_blocks, 8]
  int32_t num_pieces = 0, num_bins = 0;
  float* piece_sums = nullptr;  // [num_heads, num_row_blocks, num_pieces, 64]
  float* row_factor = nullptr;  // [num_heads, num_row_blocks, 64], as the next ones
  float* lse = nullptr;
  float* entropy = nullptr;
  float* bins = nullptr;  // [num_heads, num_row_blocks, num_bins, 64]
};

template <typename Elem>
struct DenseForward {
  HeadRows<Elem> q;     // rows by token, heads by number
  HeadRows<Elem> k, v;  // rows by key slot, 64 a key block, one after the other; idle slots: zeros
  const uint64_t* valid;  // [num_key_blocks] bit of every slot that holds a token
  int32_t num_key_blocks = 0;
  const RowBlock* row_blocks;  // [num_row_blocks] into row_order
  int32_t num_row_blocks = 0;
  const int32_t* row_order;  // position -> token
  int32_t first_head = 0, num_heads = 0;
  float scale_log2 = 1.0f;  // softmax scale times log2(e)
  HeadOutput out;
  MassOutput masses;  // blocks null: plain attention
};

// Instantiated for __nv_bfloat16 and __half, D 64 and 128.
template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream);

// Thread blocks of run_dense_forward that a multiprocessor has registers for, on any GPU.
constexpr int dense_forward_blocks(int head_dim, bool with_masses) {
  return (head_dim == 64 ? 4 : 3) - (with_masses ? 1 : 0);
}

// Bytes of shared memory that a thread block of run_dense_forward takes; num_bins 0: plain.
constexpr int64_t dense_forward_shared_bytes(int head_dim, int64_t num_bins) {
  constexpr int kTiles = 3, kKeys = 64;
  const int64_t bins = num_bins == 0 ? 0 : (num_bins + kSpareBins) * kBinPitch;
  return int64_t{kTiles} * kKeys * head_dim * 2 + bins * static_cast<int64_t>(sizeof(float));
}

}  // namespace sparsescope::cuda
