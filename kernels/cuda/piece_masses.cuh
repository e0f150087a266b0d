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
  // What a thread reads of a piece.
  struct Piece {
    LanePair sum, max;
  };

  // row_block: of the chunk
  __device__ BlockPieces(const MassChunk& chunk, int head, int row_block, int lane)
      : piece_block_(chunk.piece_block) {
    const int64_t block = int64_t{head} * chunk.num_row_blocks + row_block;
    sums_ = chunk.piece_sums + block * chunk.num_pieces * kRowLanes + lane;
    max_ = chunk.block_max + block * chunk.num_key_blocks * kRowLanes + lane;
    row_max_ = pair(chunk.row_max + block * kRowLanes + lane);
    inverse_sum_ = pair(chunk.inverse_sum + block * kRowLanes + lane);
  }

  __device__ Piece load(int piece) const {
    return {pair(sums_ + int64_t{piece} * kRowLanes),
            pair(max_ + int64_t{piece_block_[piece]} * kRowLanes)};
  }
  // To a mass that is not yet scaled. Idle lanes hold zeros.
  __device__ void add(const Piece& piece, LanePair& mass) const {
    mass.low += piece.sum.low * exp2_fast(piece.max.low - row_max_.low);
    mass.high += piece.sum.high * exp2_fast(piece.max.high - row_max_.high);
  }
  __device__ void add(int first, int end, LanePair& mass) const {
    for (int piece = first; piece < end; ++piece) add(load(piece), mass);
  }
  __device__ LanePair scaled(const LanePair& mass) const {
    return {mass.low * inverse_sum_.low, mass.high * inverse_sum_.high};
  }

 private:
  __device__ static LanePair pair(const float* lanes) { return {lanes[0], lanes[32]}; }

  const float* sums_;
  const float* max_;
  const int32_t* piece_block_;
  LanePair row_max_, inverse_sum_;
};

}  // namespace sparsescope::cuda
