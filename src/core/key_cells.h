// The common refinement of a tile grid and a set of partitions: cells, so that the mass of every
// tile and of every partition's block is an exact sum of cell masses; and the token order in which
// tiles, and cells inside a tile, are contiguous.
#pragma once

#include <cstdint>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

struct KeyCell {
  int32_t first = 0;  // position of the first token in KeyCells::order
  int32_t count = 0;  // tokens
  int32_t tile = -1;  // tile that holds the cell; -1 for the text cell
  Box box;            // its tokens in (t, h, w) order; all zero for the text cell
};

struct KeyCells {
  TileGrid tiles;
  std::vector<int32_t> order;       // [S] position -> token index; video first, then text
  std::vector<KeyCell> cells;       // video cells by tile, then at most one text cell
  std::vector<int32_t> tile_first;  // [N + 1] first cell of each tile
  int32_t num_video_cells = 0;
  std::vector<std::vector<int32_t>> block_of_cell;  // [partitions][num_video_cells]
};

// Token indices: prefix text tokens come first (0 .. prefix-1), then the video in raster order, then
// suffix text tokens.
KeyCells make_key_cells(const TileGrid& tiles, const std::vector<Partition>& partitions,
                        int64_t prefix, int64_t suffix);

}  // namespace sparsescope
