// The query side of BSA inside one tile: which slots are kept. Slots number the tile's valid tokens
// in (t, h, w) order of its clipped box.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sparse/bsa_options.h"

namespace sparsescope {

// The centre of a tile: half of each clipped extent, or options.centre in a full tile.
int32_t centre_slot(const Box& box, const TileShape& tile, const BsaQueryOptions& options);

struct QueryWindows {
  std::vector<std::vector<int32_t>> slots;  // of each window that holds any, ascending
  std::vector<int32_t> reference;           // [n] the slot that each slot is compared with
};

// Windows in (t, h, w) order.
QueryWindows query_windows(const Box& box, const TileShape& tile, const BsaQueryOptions& options);

// Queries that a window of num_slots keeps.
int64_t query_quota(int64_t num_slots, const BsaQueryOptions& options);

struct KeepScratch {
  std::vector<float> scores, top_k;
  std::vector<int32_t> best;
  std::vector<uint8_t> keep;
};

// Slots that stay, ascending, into kept: in each window the quota of slots least similar to the
// reference, ties to the lower slot; what is no number goes first. similarity [n]: cosine to the
// slot's reference.
void keep_queries(std::span<const float> similarity, const QueryWindows& windows,
                  const BsaQueryOptions& options, KeepScratch& scratch, std::vector<int32_t>& kept);

}  // namespace sparsescope
