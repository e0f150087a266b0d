// VSA: each query tile attends to the K key tiles with the largest scores between tile means (Zhang
// et al., Video Sparse Attention). Every row gets exactly K; ties go to the lower tile.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor_view.h"
#include "kernels/impl.h"
#include "sparse/tile_lists.h"
#include "sparse/token_layout.h"

namespace sparsescope {

struct VsaSelection {
  std::vector<float> scores;  // [N, N] Z
  TileLists lists;            // [N] K ascending key tiles each
};

// One (batch, head). 1 <= top_k <= N, else Error(kUsage).
VsaSelection select_vsa(const AttentionTensor& q, const AttentionTensor& k, int64_t batch,
                        int64_t head, float scale, const TokenLayout& layout, int64_t top_k,
                        Impl impl);

// The rule alone, on scores [N, N].
TileLists top_k_tiles(std::span<const float> scores, int64_t num_tiles, int64_t top_k);

}  // namespace sparsescope
