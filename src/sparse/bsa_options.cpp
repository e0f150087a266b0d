#include "sparse/bsa_options.h"

namespace sparsescope {

BsaOptions bsa_options(const BsaParams& params) {
  BsaOptions options;
  options.query.keep = params.query_keep;
  options.query.window = params.window;
  options.kv.keep = params.kv_keep;
  options.kv.min_blocks = params.min_blocks;
  return options;
}

BsaOptions bsa_fastvideo_options(const TileShape& tile) {
  const int64_t slot = tile.volume() / 2;
  BsaOptions options;
  options.query = {
      .keep = 0.5,
      .window = {0, 0, 0},
      .centre = TileShape{slot / (tile.h * tile.w), slot / tile.w % tile.h, slot % tile.w},
      .keep_reference = false,
      .round_down = true};
  options.kv = {.rule = BsaKvRule::kCdf, .mass = 0.9, .min_blocks = 4};
  options.restore = BsaRestore::kNearest;
  options.full_tiles_only = true;
  return options;
}

}  // namespace sparsescope
