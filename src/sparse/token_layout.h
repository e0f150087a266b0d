// The token order of a sparse method: tiles (or a partition's blocks) contiguous, text behind them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/token_grid.h"
#include "kernels/attention.h"

namespace sparsescope {

// Tokens are numbered as in make_key_cells: prefix text, video in raster order, suffix text.
struct TokenLayout {
  TileGrid tiles;
  int64_t prefix = 0;
  int64_t suffix = 0;
  std::vector<int32_t> order;    // [S] position -> token; a tile's tokens in (t, h, w) order
  std::vector<KeyRange> ranges;  // [N] tiles, then one range of all text tokens where there are any

  int64_t num_tiles() const { return tiles.num_tiles(); }
  int64_t video_tokens() const { return tiles.grid().tokens(); }
  int64_t text_tokens() const { return prefix + suffix; }
  int64_t tokens() const { return video_tokens() + text_tokens(); }
  std::span<const int32_t> tokens_of(int64_t range) const {
    return std::span(order).subspan(ranges[range].first, ranges[range].count);
  }
};

// [S_video] the tile of each position.
std::vector<int32_t> blocks_of_positions(const TokenLayout& layout);

// Blocks of int(frames * Hg * Wg) tokens in raster order, the last one short: the temporal
// partition for any number of frames, as a line of tokens. Error(kUsage) for less than a token.
TileGrid temporal_blocks(const TokenGrid& grid, double frames);

TokenLayout make_token_layout(const TileGrid& tiles, int64_t prefix, int64_t suffix);

}  // namespace sparsescope
