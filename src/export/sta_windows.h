// STA (sliding tile attention): the three grids its kernels exist for, the windows that each takes,
// and how much of a tile-to-tile map a window keeps. Windows are in tiles of 6x8x8 tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

inline constexpr TileShape kStaTile{6, 8, 8};

struct StaGrid {
  TokenGrid grid;                  // tokens
  bool with_text;                  // its kernel's only mode
  std::vector<TileShape> windows;  // by volume; the last one is the full grid
  TokenGrid tiles() const {
    return {grid.t / kStaTile.t, grid.h / kStaTile.h, grid.w / kStaTile.w};
  }
};

const std::vector<StaGrid>& sta_grids();
// Error(kUsage) for any other grid, listing these.
const StaGrid& find_sta_grid(const TokenGrid& grid);

// Mean over query tiles of the mass on the key tiles in the window: centre = clamp(query, w/2,
// n-1-w/2), kept where |centre - key| <= w/2 on all axes. map: [N, N], all tiles full.
double window_mass(const float* map, const TokenGrid& tiles, const TileShape& window);

// The file: "<step>_<layer>_<head>": [t, h, w], one line each.
struct StaStrategy {
  int64_t steps = 0, layers = 0, heads = 0;
  std::vector<TileShape> windows;  // [steps, layers, heads]
};
std::string to_sta_json(const StaStrategy& strategy);
// Exactly that text: every key of the extents in order and no other, every window one of the
// grid's; else Error(kData). Linear in the file, which a JSON object of 72,000 keys in order is
// not.
StaStrategy parse_sta_json(std::string_view text, int64_t steps, int64_t layers, int64_t heads,
                           const StaGrid& grid, const std::string& what);

}  // namespace sparsescope
