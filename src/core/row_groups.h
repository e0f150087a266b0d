// How query rows are dealt into the 64-row blocks that a kernel runs. Blocks are filled with whole
// tiles wherever tiles fit, so that statistics of a tile are complete when its group is done, and
// lanes do not idle on clipped tiles.
#pragma once

#include <cstdint>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

inline constexpr int kRowLanes = 64;  // rows of a block: four vectors of 16 fp32 lanes

// Consecutive positions of RowGroups::order that one block holds.
struct RowBlock {
  int32_t first = 0;
  int32_t count = 0;  // 1 .. kRowLanes
};

// Where a tile's rows lie in the order; rows of a tile are in (t, h, w) order.
struct TileRows {
  int32_t tile = 0;
  int32_t first = 0;
  int32_t count = 0;  // n_i
};

// One work item: a single block of whole tiles, or all the blocks of one tile of more than 64 rows.
struct RowGroup {
  int32_t first_block = 0, num_blocks = 0;
  int32_t first_tile = 0, num_tiles = 0;  // into RowGroups::tiles; none for text rows
};

struct RowGroups {
  std::vector<int32_t> order;    // [S] position -> token index; video rows first, then text
  std::vector<RowBlock> blocks;
  std::vector<TileRows> tiles;   // in order of position, every tile once
  std::vector<RowGroup> groups;  // video groups first
  int32_t num_video_groups = 0;
};

// Tokens are numbered as in make_key_cells.
RowGroups make_row_groups(const TileGrid& tiles, int64_t prefix, int64_t suffix);

}  // namespace sparsescope
