// The ladders of the methods that select key tiles for whole query tiles, of one head: VSA by the
// kept fraction f, BSA by kappa with and without its query selection. Scores, kept queries and
// sources come from the selectors themselves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/plan.h"
#include "sparse/bsa_selector.h"
#include "sparse/tile_scores.h"

namespace sparsescope {

struct TileLadders {
  int64_t num_tiles = 0, num_steps = 0;  // N, fractions
  // [N, N] step at which the key tile enters the list of the query tile; num_steps: never
  std::vector<int32_t> vsa, bsa_unpruned, bsa;
  BsaSelection pruned;  // kept queries and sources of `bsa`

  std::span<const int32_t> row(const std::vector<int32_t>& levels, int64_t tile) const {
    return std::span(levels).subspan(tile * num_tiles, num_tiles);
  }
};

// BSA's settings where only kappa varies: half of the queries of windows of 2 x 2 x 2, one block
// forced at least.
BsaParams ladder_bsa_params(const TileShape& tile);

// For every head of batch entry 0. call.layout: of the tile grid.
std::vector<TileLadders> make_tile_ladders(const TileSelectorCall& call, ThreadPool& pool);

}  // namespace sparsescope
