#include "sparse/masks.h"

namespace sparsescope {

std::vector<uint8_t> tile_mask(const TileLists& lists, int64_t num_tiles) {
  std::vector<uint8_t> mask(num_tiles * num_tiles, 0);
  for (int64_t i = 0; i < num_tiles; ++i) {
    for (const int32_t j : lists.of(i)) mask[i * num_tiles + j] = 1;
  }
  return mask;
}

std::vector<uint8_t> kept_mask(const TokenLayout& layout, const TileLists& kept) {
  std::vector<uint8_t> mask(layout.video_tokens(), 0);
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    const std::span<const int32_t> tokens = layout.tokens_of(tile);
    for (const int32_t slot : kept.of(tile)) mask[tokens[slot] - layout.prefix] = 1;
  }
  return mask;
}

std::vector<uint8_t> block_mask(const TokenLayout& layout, const RowSelection& selection) {
  std::vector<uint8_t> mask(selection.num_rows * selection.num_blocks);
  for (int64_t position = 0; position < selection.num_rows; ++position) {
    const int64_t raster = layout.order[position] - layout.prefix;
    for (int64_t block = 0; block < selection.num_blocks; ++block) {
      mask[raster * selection.num_blocks + block] = selection.selected(block, position);
    }
  }
  return mask;
}

}  // namespace sparsescope
