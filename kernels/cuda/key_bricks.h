// Where the keys of a block lie in the token grid. With masses, eight consecutive key slots are a
// brick: 1 x 2 x 4 positions along (t, h, w) of one cell, w fastest, so that a thread of a
// fragment, which holds slots 2c and 2c + 1 of every brick, always has the same place within
// bricks. Text has bricks of eight tokens without coordinates.
//
// Coordinates are bins: t, T + h, T + Hg + w. A brick that sticks out of its cell, or out of the
// grid, has idle slots there: probability 0, added to a bin all the same.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda {

inline constexpr int kBrickSlots = 8;
inline constexpr int kBlockBricks = 8;
// Behind the last bin: where bricks at the grid's end stick out along w.
inline constexpr int kSpareBins = 3;

// Sums that are complete with a brick: no later brick of the block adds to the same bins or piece.
enum BrickEnd : int16_t { kEndsT = 1, kEndsH = 2, kEndsW = 4, kEndsPiece = 8 };

struct alignas(8) KeyBrick {
  int16_t t = -1, h = -1, w = -1;  // bins of the first slot; -1: no coordinates
  int16_t ends = 0;                // of BrickEnd
};

// A regular block is one piece of bricks (t, h), (t, h + 2), (t + 1, h), ... (t + 3, h + 2): 4 x 4
// x 4 positions, as most blocks are where tiles are 4,4,4.
struct alignas(16) KeyBlockPlace {
  int32_t first_piece = 0;
  int32_t t = -1, h = -1, w = -1;  // bins of the first slot of a regular block; -1: none

  __host__ __device__ bool regular() const { return t >= 0; }
};

}  // namespace sparsescope::cuda
