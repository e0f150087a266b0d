// Dense attention of one call: output, log-sum-exp, the mass of every pair of tiles, gradients.
#pragma once

#include <optional>
#include <vector>

#include "core/token_grid.h"
#include "kernels/attention.h"
#include "kernels/impl.h"
#include "sparse/selection.h"

namespace sparsescope {

struct DenseCall {
  AttentionTensor q, k, v;  // [B, H, S, D]
  float scale = 1.0f;
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
};

// Writes out and lse [B, H, S]. Where mass_block is given, returns the masses [B, H, N, N]: mean
// over the query tile's rows of the probability on the key tile.
std::vector<float> run_dense_call(const DenseCall& call, const std::optional<TileShape>& mass_block,
                                  const MutableAttentionTensor& out, float* lse, Impl impl,
                                  ThreadPool& pool);

// Dense attention as a selection: every row against one range of all keys.
BlockLists dense_lists(int64_t batch, int64_t heads, int64_t tokens);

}  // namespace sparsescope
