// Where the keys of a block lie in the token grid. With masses, eight consecutive key slots are a
// brick: 1 x 2 x 4 positions along (t, h, w) of one cell, w fastest, so that a thread of a
// fragment, which holds slots 2c and 2c + 1 of every brick, always has the same place within
// bricks. Text has bricks of eight tokens without coordinates.
//
// Coordinates are bins: t, T + h, T + Hg + w. A brick that sticks out of its cell, or out of the
// grid, has idle slots there: probability 0, added to a bin all the same.
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

inline constexpr int kBrickSlots = 8;
inline constexpr int kBlockBricks = 8;
// Behind the last bin: where bricks at the grid's end stick out along w.
inline constexpr int kSpareBins = 3;
// Floats of a bin in shared memory, of 64 rows: 16 rows of two bins that are two apart lie in 32
// banks.
inline constexpr int kBinPitch = 72;

// Sums that are complete with a brick: the block's next brick adds to other bins or another piece.
enum BrickEnd : int16_t { kEndsW = 1, kEndsPiece = 2 };

struct alignas(8) KeyBrick {
  int16_t t = -1, h = -1, w = -1;  // bins of the first slot; -1: no coordinates
  int16_t ends = 0;                // of BrickEnd
};

// Sums by t and h are kept by brick as long as blocks have them in common, brick by brick: tiles
// follow each other along w. A block of one piece whose bricks all have one place along w, as most
// are where tiles are 4,4,4, takes the short way.
struct alignas(16) KeyBlockPlace {
  int32_t first_piece = 0;
  int32_t places = 0;  // block whose bricks have the same t and h; itself or an earlier one
  int32_t w = -1;  // bin of all bricks' first slots in a block of one piece; -1: not such a block
};

}  // namespace sparsescope::cuda
