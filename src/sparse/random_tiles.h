// Key tiles drawn at random: the selection that knows nothing, which every other one must beat at
// the same density. All subsets of K tiles are alike, so that the expected recall is K / N.
#pragma once

#include <cstdint>

#include "model/attention_hook.h"
#include "sparse/tile_lists.h"

namespace sparsescope {

// K ascending key tiles for each of the N query tiles of a head. A draw is a function of (step,
// layer, branch, head, query tile): the same for all prompts, samples of a batch and threads.
// Error(kUsage) for K outside 1 .. N.
TileLists random_tiles(const SiteKey& site, int64_t head, int64_t num_tiles, int64_t top_k);

}  // namespace sparsescope
