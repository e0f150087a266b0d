// The key side of BSA: from block scores Z (logits, scale included) to a list of key tiles
// for each query tile. Every list also holds the min_blocks best tiles, ties to the lower tile.
#pragma once

#include <cstdint>
#include <span>

#include "sparse/bsa_options.h"
#include "sparse/tile_lists.h"

namespace sparsescope {

// p = mean + z * sd of the scores, with the population deviation; -inf (keep all) for z = -inf and
// for constant scores. z is gaussian_cut(kappa).
double gaussian_cutoff(std::span<const float> scores, double z);

// scores [M, N] of M query tiles; for kGaussLogitHead those of the whole head.
TileLists select_key_tiles(std::span<const float> scores, int64_t num_tiles,
                           const BsaKvOptions& options);

}  // namespace sparsescope
