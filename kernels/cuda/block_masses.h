// Masses of some query rows on the blocks of partitions, where the rows' log sums are known: one
// product of queries and keys, and sums by column (mass_columns.h) on the tensor cores.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/head_rows.h"
#include "kernels/cuda/mass_columns.h"

namespace sparsescope::cuda {

template <typename Elem>
struct BlockMasses {
  HeadRows<Elem> q;                      // of the sampled rows, by number
  HeadRows<Elem> k;                      // by key slot, 64 a key block; idle slots: zeros
  const uint64_t* valid = nullptr;       // [num_key_blocks], as the next ones in MassColumns
  const int32_t* first_group = nullptr;  // [num_key_blocks + 1]
  const int32_t* columns = nullptr;      // [groups, 16]
  const ColumnBits* bits = nullptr;      // [groups, 32]
  int32_t num_key_blocks = 0;
  const int32_t* row_token = nullptr;  // of all sampled rows
  const float* lse = nullptr;          // [H, tokens] natural log
  int64_t tokens = 0;                  // S
  float scale_log2 = 1.0f;             // softmax scale times log2(e)
  int32_t first_head = 0, num_heads = 0;
  int32_t first_row = 0, num_rows = 0;
  float* masses = nullptr;  // [num_heads, num_blocks, row_stride] += ; row first_row comes first
  int32_t num_blocks = 0;   // of all partitions
  int32_t row_stride = 0;   // a multiple of 64, not below num_rows
};

// Instantiated for __nv_bfloat16 and __half, D 64 and 128. Behind num_rows zeros are added.
template <typename Elem, int kHeadDim>
void run_block_masses(const BlockMasses<Elem>& call, cudaStream_t stream);

}  // namespace sparsescope::cuda
