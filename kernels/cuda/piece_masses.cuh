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
    const float* lse = chunk.lse + block * kRowLanes + lane;
    has_low_ = lane < num_rows;
    has_high_ = lane + 32 < num_rows;
    lse_low_ = has_low_ ? lse[0] : 0.0f;
    lse_high_ = has_high_ ? lse[32] : 0.0f;
  }

  // On the pieces from first to before end; 0 in idle lanes.
  __device__ LanePair mass(int first, int end) const {
    LanePair mass;
    for (int piece = first; piece < end; ++piece) {
      const float* sum = sums_ + int64_t{piece} * kRowLanes;
      const float* max = max_ + int64_t{piece_block_[piece]} * kRowLanes;
      if (has_low_) mass.low += sum[0] * factor(max[0], lse_low_);
      if (has_high_) mass.high += sum[32] * factor(max[32], lse_high_);
    }
    return mass;
  }

 private:
  __device__ static float factor(float max, float lse) {
    constexpr float kLog2E = 1.4426950408889634f;
    return exp2_fast(fmaf(-kLog2E, lse, max));
  }

  const float* sums_;
  const float* max_;
  const int32_t* piece_block_;
  bool has_low_, has_high_;
  float lse_low_, lse_high_;
};

}  // namespace sparsescope::cuda
