// The query side of BSA inside one tile: which slots are kept, and which kept slot a pruned one
// takes its output from. Slots number the tile's valid tokens in (t, h, w) order of its clipped
// box.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/impl.h"
#include "sparse/bsa_options.h"

namespace sparsescope {

// The reference slot of a tile: half of each clipped extent, or options.centre in a full tile.
int32_t centre_slot(const Box& box, const TileShape& tile, const BsaQueryOptions& options);

// Slots of each window that holds any, windows in (t, h, w) order, slots ascending.
std::vector<std::vector<int32_t>> window_slots(const Box& box, const TileShape& window);

// Queries that a window of num_slots keeps.
int64_t query_quota(int64_t num_slots, const BsaQueryOptions& options);

// unit_rows [n, D]: the rows at length 1; lengths are floored at 1e-12.
void normalize_rows(const float* rows, int64_t num_rows, int64_t head_dim, float* unit_rows);

// similarity [n]: cosine of every row to the centre's.
void centre_similarity(const float* unit_rows, int64_t num_rows, int64_t head_dim, int32_t centre,
                       float* similarity);

// Slots that stay, ascending: in each window the quota of slots least similar to the centre, ties
// to the lower slot. similarity [n]: cosine to the centre.
std::vector<int32_t> keep_queries(std::span<const float> similarity,
                                  const std::vector<std::vector<int32_t>>& windows, int32_t centre,
                                  const BsaQueryOptions& options);

// [n] the kept slot whose output each slot takes (itself where kept), -1 for none. unit_rows [n, D]
// are needed by kSimilar only; ties go to the lower slot.
std::vector<int32_t> restore_sources(Impl impl, std::span<const float> unit_rows, int64_t num_slots,
                                     std::span<const int32_t> kept, int32_t centre,
                                     BsaRestore rule);

}  // namespace sparsescope
