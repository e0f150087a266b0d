// Scores between rows and the means of tiles, the one product of the selectors:
//   out[p, m, n] = scale * sum_d a[p, m, d] * means[p, n, d]
// fp32, d ascending in every element: equal rows give equal scores, and the bits are those of the
// host's selectors. Where rows are queries of 16 bits (VMoBA), by mma and in another order
// (select_gate_products.h).
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/select_layout.h"

namespace sparsescope::cuda {

// Of the keys (select_keys.cuh) of all scores of a plane; zeros before the first.
struct KeyExtents {
  uint32_t inverted_least = 0, largest = 0;
};

struct TileScores {
  // The rows: tokens order[first_row + m] of the planes' heads; or means, where that is set.
  AttentionTensor x;
  SelectPlanes planes;
  const int32_t* order = nullptr;
  int32_t first_row = 0;
  const float* row_means = nullptr;  // [planes, num_rows, padded_dim]
  int32_t num_rows = 0;              // M
  const float* means = nullptr;      // [planes, N, padded_dim]
  int32_t num_tiles = 0;             // N
  int32_t head_dim = 0;              // D
  float scale = 1.0f;
  float* out = nullptr;           // [planes, M, score_stride(N)]
  KeyExtents* extents = nullptr;  // [planes] are widened, where gates_by_mma(x)
};
void tile_scores(const TileScores& call);

}  // namespace sparsescope::cuda
