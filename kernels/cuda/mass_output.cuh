// Where the masses of a row block go in the arrays of its chunk.
#pragma once

#include "kernels/cuda/dense_forward.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/row_masses.cuh"

namespace sparsescope::cuda {

// The part of the chunk's arrays that belongs to one row block.
__device__ inline RowMassOutput masses_of_block(const MassOutput& masses, int64_t item) {
  return {.blocks = masses.blocks,
          .bricks = masses.bricks,
          .piece_sums = masses.piece_sums + item * masses.num_pieces * kRowLanes,
          .row_factor = masses.row_factor + item * kRowLanes,
          .bins = masses.bins + item * masses.num_bins * kRowLanes,
          .num_bins = masses.num_bins};
}

// Per-row results of a warp, after its rows were written.
template <typename Elem, int kHeadDim>
__device__ void write_masses(RowMasses& masses, const WarpRows<Elem, kHeadDim>& rows,
                             const MassOutput& output, int64_t item, int first_row, int num_rows,
                             int lane) {
  float inverse_sum[2], entropy[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    inverse_sum[r] = rows.softmax[r].sum > 0.0f ? 1.0f / rows.softmax[r].sum : 0.0f;
  }
  masses.finish(masses_of_block(output, item), first_row, rows.softmax, inverse_sum, entropy);
  if (lane % 4 != 0) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    const int64_t at = item * kRowLanes + first_row + row;
    const bool live = row < num_rows;
    output.lse[at] = live ? rows.log_sum(r) : 0.0f;
    output.entropy[at] = live ? entropy[r] : 0.0f;
  }
}

}  // namespace sparsescope::cuda
