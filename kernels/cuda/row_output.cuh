// Writes what a warp holds of 16 finished rows, also to the rows that take a copy of theirs.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/fragment_rows.cuh"
#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda {

// Tokens that take a copy of a row's output.
struct CopyTokens {
  const int32_t *next, *end;
};

struct NoCopies {
  __device__ CopyTokens of(int) const { return {nullptr, nullptr}; }
};

// Of rows that begin at first_row of the selection's rows.
struct ItemCopies {
  const RowCopies& copies;
  int32_t first_row;

  __device__ CopyTokens of(int row) const {
    const int32_t at = first_row + row;
    if (at >= copies.num_rows) return {nullptr, nullptr};
    return {copies.tokens + copies.first[at], copies.tokens + copies.first[at + 1]};
  }
};

// tokens: of the warp's rows; rows from num_rows on are idle. Ends the softmax.
template <typename Elem, int kHeadDim, typename Copies = NoCopies>
__device__ void write_rows(WarpRows<Elem, kHeadDim>& rows, const HeadOutput& output, int32_t head,
                           const int32_t* tokens, int num_rows, int lane,
                           const Copies& copies = {}) {
  float inverse_sum[2];
  rows.finish(inverse_sum);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    if (row >= num_rows) continue;
    int32_t token = tokens[row];
    if (output.lse != nullptr && lane % 4 == 0) *output.lse_of(head, token) = rows.log_sum(r);
    CopyTokens copy = copies.of(row);
    for (;;) {
      store_row(rows.out, r, inverse_sum[r], output.row(head, token), output.head_dim, lane);
      if (copy.next == copy.end) break;
      token = *copy.next++;
    }
  }
}

}  // namespace sparsescope::cuda
