// VSA: each query tile attends to the K key tiles with the largest scores between tile means (Zhang
// et al., Video Sparse Attention). Every row gets exactly K, ties go to the lower tile; with
// FastVideo's rounding, what FastVideo's selector keeps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "sparse/tile_lists.h"
#include "sparse/tile_scores.h"
#include "sparse/vsa_rounding.h"

namespace sparsescope {

struct VsaHead {
  int64_t batch = 0, head = 0;
  int64_t top_k = 1;  // K
};

// Error(kUsage) outside 1 .. N.
void check_top_k(int64_t top_k, int64_t num_tiles);

// K ascending key tiles of each query tile, for every head.
std::vector<TileLists> select_vsa(const TileSelectorCall& call, std::span<const VsaHead> heads,
                                  ThreadPool& pool, VsaRounding rounding = VsaRounding::kExact);

// The rule alone, on scores [M, N] of M query tiles.
TileLists top_k_tiles(std::span<const float> scores, int64_t num_tiles, int64_t top_k,
                      VsaRounding rounding = VsaRounding::kExact);

}  // namespace sparsescope
