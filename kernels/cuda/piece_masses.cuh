// Probabilities of the rows of a block from the pieces of a chunk. A thread of a warp has two rows,
// lane and lane + 32, so that reads are whole lines.
#pragma once

#include "core/row_groups.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

struct LanePair {
  float low = 0.0f, high = 0.0f;
};

class BlockPieces {
 public:
  // row_block: of the chunk
  __device__ BlockPieces(const MassChunk& chunk, int head, int row_block, int lane) {
    const int64_t block = int64_t{head} * chunk.num_row_blocks + row_block;
    sums_ = chunk.piece_sums + block * chunk.num_pieces * kRowLanes + lane;
    factor_ = pair(chunk.row_factor + block * kRowLanes + lane);
  }

  // Of a piece, not yet scaled. Idle lanes hold zeros.
  __device__ LanePair load(int piece) const { return pair(sums_ + int64_t{piece} * kRowLanes); }
  __device__ void add(int first, int end, LanePair& mass) const {
    for (int piece = first; piece < end; ++piece) {
      const LanePair sum = load(piece);
      mass.low += sum.low;
      mass.high += sum.high;
    }
  }
  __device__ LanePair scaled(const LanePair& mass) const {
    return {mass.low * factor_.low, mass.high * factor_.high};
  }

 private:
  __device__ static LanePair pair(const float* lanes) { return {lanes[0], lanes[32]}; }

  const float* sums_;
  LanePair factor_;
};

}  // namespace sparsescope::cuda
