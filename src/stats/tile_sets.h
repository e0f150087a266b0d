// Sets of key tiles and how far two of them overlap; what chance alone gives: chance.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

// One bit a tile.
using TileSet = std::vector<uint64_t>;

// The `kept` tiles with the largest masses; of equal ones the lowest numbers.
TileSet heaviest_tiles(std::span<const float> masses, int64_t kept);

// |A and B| / |A or B|; 1 for two empty sets. Both of one grid.
double jaccard(std::span<const uint64_t> a, std::span<const uint64_t> b);

}  // namespace sparsescope
