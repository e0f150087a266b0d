// Statistics of queries and keys alone: means by tile and cosines within windows of a tile.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/tensor_view.h"

namespace sparsescope::cuda {

// A tile's rows in the row order, and its box: t follows from the count.
struct TileRun {
  int32_t tile = 0;
  int32_t first = 0, count = 0;
  int32_t h = 0, w = 0;
};

struct Window {
  int32_t t = 0, h = 0, w = 0;
};

inline constexpr int kMaxReducedHeadDim = 128;
inline constexpr int kMaxWindows = 64;
inline constexpr int kCosineBins = 64;

// Rows of the heads first_head to first_head + num_heads - 1 of batch entry 0.
struct TileQueries {
  AttentionTensor tensor;  // [1, H, S, D] on the device, D at most kMaxReducedHeadDim
  int32_t first_head = 0, num_heads = 0;
  const int32_t* order = nullptr;  // position -> token
  const TileRun* runs = nullptr;   // [num_tiles]
  int32_t num_tiles = 0;           // N
};

// means [num_heads, N, D] = scale * mean of the tile's rows
void reduce_tile_means(const TileQueries& call, double scale, float* means, cudaStream_t stream);

// Of cos(q_r, q_centre) over the rows r of each window but its centre: sums [num_heads, N,
// num_windows] over a tile's windows of one shape, and counts [num_heads, 64] += those of the last
// shape, which is the whole tile. inverse_norms [num_heads, num_rows] is scratch, a row of
// the order each.
void reduce_cosines(const TileQueries& call, const Window* windows, int32_t num_windows,
                    int64_t num_rows, double* inverse_norms, double* sums,
                    unsigned long long* counts, cudaStream_t stream);

}  // namespace sparsescope::cuda
