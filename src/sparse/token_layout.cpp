#include "sparse/token_layout.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {

std::vector<int32_t> blocks_of_positions(const TokenLayout& layout) {
  std::vector<int32_t> blocks(layout.video_tokens());
  for (int64_t block = 0; block < layout.num_tiles(); ++block) {
    const KeyRange& range = layout.ranges[block];
    std::fill_n(blocks.begin() + range.first, range.count, static_cast<int32_t>(block));
  }
  return blocks;
}

TileGrid temporal_blocks(const TokenGrid& grid, double frames) {
  const double tokens =
      std::min(frames * static_cast<double>(grid.h * grid.w), static_cast<double>(grid.tokens()));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, tokens >= 1,
                    "temporal partition of {} frames: expected blocks of at least one token",
                    frames);
  return TileGrid({grid.tokens(), 1, 1}, {static_cast<int64_t>(tokens), 1, 1});
}

TokenLayout make_token_layout(const TileGrid& tiles, int64_t prefix, int64_t suffix) {
  TokenLayout layout{.tiles = tiles, .prefix = prefix, .suffix = suffix};
  layout.order.reserve(layout.tokens());
  const auto end = [&] { return static_cast<int32_t>(layout.order.size()); };
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    const int32_t first = end();
    for (const int32_t raster : tiles.tokens_of(tile)) {
      layout.order.push_back(static_cast<int32_t>(prefix) + raster);
    }
    layout.ranges.push_back({first, end() - first});
  }
  if (layout.text_tokens() > 0) {
    const int32_t first = end();
    for (int64_t i = 0; i < prefix; ++i) layout.order.push_back(static_cast<int32_t>(i));
    for (int64_t i = 0; i < suffix; ++i) {
      layout.order.push_back(static_cast<int32_t>(prefix + layout.video_tokens() + i));
    }
    layout.ranges.push_back({first, end() - first});
  }
  return layout;
}

}  // namespace sparsescope
