// Probabilities of the rows of a block from the pieces of a chunk. A thread of a warp has two rows,
// lane and lane + 32, so that reads are whole lines.
#pragma once

#include "arch/math.cuh"
#include "core/row_groups.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

struct LanePair {
  float low = 0.0f, high = 0.0f;
};

class BlockPieces {
 public:
  // row_block: of the chunk, with rows in its first num_rows lanes
  __device__ BlockPieces(const MassChunk& chunk, int head, int row_block, int num_rows, int lane)
      : piece_block_(chunk.piece_block) {
    const int64_t block = int64_t{head} * chunk.num_row_blocks + row_block;
    sums_ = chunk.piece_sums + block * chunk.num_pieces * kRowLanes + lane;
    max_ = chunk.block_max + block * chunk.num_key_blocks * kRowLanes + lane;
    const float* row_max = chunk.row_max + block * kRowLanes + lane;
    const float* inverse_sum = chunk.inverse_sum + block * kRowLanes + lane;
    has_low_ = lane < num_rows;
    has_high_ = lane + 32 < num_rows;
    if (has_low_) {
      row_max_.low = row_max[0];
      inverse_sum_.low = inverse_sum[0];
    }
    if (has_high_) {
      row_max_.high = row_max[32];
      inverse_sum_.high = inverse_sum[32];
    }
  }

  // On the pieces from first to before end; 0 in idle lanes.
  __device__ LanePair mass(int first, int end) const {
    LanePair mass;
    for (int piece = first; piece < end; ++piece) {
      const float* sum = sums_ + int64_t{piece} * kRowLanes;
      const float* max = max_ + int64_t{piece_block_[piece]} * kRowLanes;
      if (has_low_) mass.low += sum[0] * exp2_fast(max[0] - row_max_.low);
      if (has_high_) mass.high += sum[32] * exp2_fast(max[32] - row_max_.high);
    }
    mass.low *= inverse_sum_.low;
    mass.high *= inverse_sum_.high;
    return mass;
  }

 private:
  const float* sums_;
  const float* max_;
  const int32_t* piece_block_;
  bool has_low_, has_high_;
  LanePair row_max_, inverse_sum_;
};

}  // namespace sparsescope::cuda
