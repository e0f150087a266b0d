// The query side of BSA inside one tile: which slots are kept. Slots number the tile's valid tokens
// in (t, h, w) order of its clipped box.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sparse/bsa_options.h"

namespace sparsescope {

// The reference slot of a tile: half of each clipped extent, or options.centre in a full tile.
int32_t centre_slot(const Box& box, const TileShape& tile, const BsaQueryOptions& options);

// Slots of each window that holds any, windows in (t, h, w) order, slots ascending.
std::vector<std::vector<int32_t>> window_slots(const Box& box, const TileShape& window);

// Queries that a window of num_slots keeps.
int64_t query_quota(int64_t num_slots, const BsaQueryOptions& options);

struct KeepScratch {
  std::vector<float> scores, top_k;
  std::vector<int32_t> best;
  std::vector<uint8_t> keep;
};

// Slots that stay, ascending, into kept: in each window the quota of slots least similar to the
// centre, ties to the lower slot; what is no number goes first. similarity [n]: cosine to the
// centre.
void keep_queries(std::span<const float> similarity,
                  const std::vector<std::vector<int32_t>>& windows, int32_t centre,
                  const BsaQueryOptions& options, KeepScratch& scratch, std::vector<int32_t>& kept);

}  // namespace sparsescope
