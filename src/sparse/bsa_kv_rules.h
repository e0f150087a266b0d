// The key side of BSA: from block scores Z [N, N] (logits, scale included) to a list of key tiles
// for each query tile. Every list also holds the min_blocks best tiles, ties to the lower tile.
#pragma once

#include <cstdint>
#include <span>

#include "sparse/bsa_options.h"
#include "sparse/tile_lists.h"

namespace sparsescope {

// z with Phi(z) = p, to a relative error of about 1e-14; -inf at p <= 0, +inf at p >= 1.
double normal_quantile(double p);

// p = mean + sd * Phi^-1(1 - kappa) of the scores, with the population deviation; -inf (keep all)
// for kappa >= 1 and for constant scores.
double gaussian_cutoff(std::span<const float> scores, double kappa);

TileLists select_key_tiles(std::span<const float> scores, int64_t num_tiles,
                           const BsaKvOptions& options);

}  // namespace sparsescope
