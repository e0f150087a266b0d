// How a warp writes what it holds of dq of 16 rows.
#pragma once

#include "kernels/cuda/fragment_rows.cuh"
#include "kernels/cuda/sparse_backward.h"

namespace sparsescope::cuda {

// Of row r; adds to what the strand's items before have left, where kAdd.
template <bool kAdd, int kOctets>
__device__ void write_gradient_row(const float (&dq)[kOctets][4], int r, float scale, float* to,
                                   int32_t head_dim, int lane) {
  float sum[kOctets][4];
  if constexpr (kAdd) load_row(sum, r, 1.0f, to, head_dim, lane);
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
    for (int j = 2 * r; j < 2 * r + 2; ++j) {
      sum[octet][j] = fmaf(scale, dq[octet][j], kAdd ? sum[octet][j] : 0.0f);
    }
  }
  store_row(sum, r, 1.0f, to, head_dim, lane);
}

// merges: rows recur in the strand, and are added up. tokens: of the warp's rows, num_rows of them.
template <typename Elem, int kOctets>
__device__ void write_gradient(const float (&dq)[kOctets][4], const SparseBackward<Elem>& call,
                               bool merges, int32_t head, const int32_t* tokens, int num_rows,
                               int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    if (row >= num_rows) continue;
    float* to = call.dq.row(head, tokens[row]);
    if (merges) {
      write_gradient_row<true>(dq, r, call.scale, to, call.dq.head_dim, lane);
    } else {
      write_gradient_row<false>(dq, r, call.scale, to, call.dq.head_dim, lane);
    }
  }
}

}  // namespace sparsescope::cuda
