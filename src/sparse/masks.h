// Selections as the dense masks that are written, drawn and counted. Rows of one (batch, head).
#pragma once

#include <cstdint>
#include <vector>

#include "sparse/bsa_selector.h"
#include "sparse/row_selection.h"
#include "sparse/tile_lists.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// uint8 [N, N]: 1 where query tile i attends key tile j.
std::vector<uint8_t> tile_mask(const TileLists& lists, int64_t num_tiles);
// uint8 [S_video] by raster index: 1 where the query is kept.
std::vector<uint8_t> kept_mask(const TokenLayout& layout, const TileLists& kept);
// uint8 [S_video, blocks] by raster index: 1 where the query attends the block.
std::vector<uint8_t> block_mask(const TokenLayout& layout, const RowSelection& selection);

}  // namespace sparsescope
