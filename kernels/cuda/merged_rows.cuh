// Rows that occur in several items of a strand: what they have seen goes from item to item by way
// of their output and a MergeState.
#pragma once

#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/fragment_rows.cuh"
#include "kernels/cuda/sparse_forward.h"

namespace sparsescope::cuda {

// The warp's rows as the strand's items before have left them.
template <typename Elem, int kHeadDim>
__device__ void load_merged(WarpRows<Elem, kHeadDim>& rows, const SparseForward<Elem>& call,
                            int32_t head, const int32_t* tokens, int num_rows, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    if (row >= num_rows) continue;
    const int64_t of_head = int64_t{head - call.first_head} * call.out.tokens;
    const MergeState state = call.merge_states[of_head + tokens[row]];
    if (state.sum == 0.0f) continue;  // its output was not written yet
    rows.softmax[r].max = state.max;
    rows.softmax[r].sum = lane % 4 == 0 ? state.sum : 0.0f;
    load_row(rows.out, r, state.sum, call.out.row(head, tokens[row]), call.out.head_dim, lane);
  }
}

template <typename Elem, int kHeadDim>
__device__ void store_merged(const WarpRows<Elem, kHeadDim>& rows, const SparseForward<Elem>& call,
                             int32_t head, const int32_t* tokens, int num_rows, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    if (row >= num_rows || lane % 4 != 0) continue;
    const int64_t of_head = int64_t{head - call.first_head} * call.out.tokens;
    call.merge_states[of_head + tokens[row]] = {rows.softmax[r].max, rows.softmax[r].sum};
  }
}

}  // namespace sparsescope::cuda
