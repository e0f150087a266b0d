// Windows inside a tile: how far do queries have to lie apart before they differ? For each size 2,
// 4, 8, ... up to what covers the tile: the size along t alone, h alone, w alone, along h and w,
// and along all three, each cut to the tile's extent; 1 along the other axes. Every window once,
// and none of a single token. The last one is the tile itself.
#pragma once

#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

// A tile wider than the grid counts as wide as the grid.
std::vector<TileShape> query_windows(const TileGrid& tiles);

}  // namespace sparsescope
