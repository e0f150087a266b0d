// Writes what a warp holds of 16 finished rows.
#pragma once

#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda {

// tokens: of the warp's rows; rows from num_rows on are idle. Ends the softmax.
template <typename Elem, int kHeadDim>
__device__ void write_rows(WarpRows<Elem, kHeadDim>& rows, const HeadOutput& output, int32_t head,
                           const int32_t* tokens, int num_rows, int lane) {
  float inverse_sum[2];
  rows.finish(inverse_sum);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    if (row >= num_rows) continue;
    float* out = output.row(head, tokens[row]);
#pragma unroll
    for (int octet = 0; octet < kHeadDim / 8; ++octet) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int d = 8 * octet + 2 * (lane % 4) + j;
        if (d < output.head_dim) out[d] = rows.out[octet][2 * r + j] * inverse_sum[r];
      }
    }
    if (output.lse != nullptr && lane % 4 == 0) {
      *output.lse_of(head, tokens[row]) = rows.log_sum(r);
    }
  }
}

}  // namespace sparsescope::cuda
