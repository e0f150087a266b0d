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
    const bool in_pairs =
        output.head_dim % 2 == 0 && reinterpret_cast<uintptr_t>(out) % sizeof(float2) == 0;
#pragma unroll
    for (int octet = 0; octet < kHeadDim / 8; ++octet) {
      const int d = 8 * octet + 2 * (lane % 4);
      const float first = rows.out[octet][2 * r] * inverse_sum[r];
      const float second = rows.out[octet][2 * r + 1] * inverse_sum[r];
      if (d >= output.head_dim) continue;
      if (in_pairs) {
        *reinterpret_cast<float2*>(out + d) = make_float2(first, second);
      } else {
        out[d] = first;
        if (d + 1 < output.head_dim) out[d + 1] = second;
      }
    }
    if (output.lse != nullptr && lane % 4 == 0) {
      *output.lse_of(head, tokens[row]) = rows.log_sum(r);
    }
  }
}

}  // namespace sparsescope::cuda
