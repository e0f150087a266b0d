// Statistics that need an order within a row of tile masses or pooled scores.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda {

// Rows of at most this many tiles are sorted by a warp in its registers, longer ones by a block in
// shared memory, still longer ones in global memory.
inline constexpr int kMaxWarpSort = 2048;
inline constexpr int kMaxSharedSort = 8192;

// The fractions of a curve: how many tiles each keeps, BSA's cut-offs in deviations.
struct Fractions {
  const int32_t* kept = nullptr;  // [count] K(f), ascending
  const double* cuts = nullptr;   // [count] descending, -infinity where all tiles are kept
  int32_t count = 0;              // F, at most kMaxFractions
};
inline constexpr int kMaxFractions = 16;

struct OrderScratch {
  uint64_t* keys = nullptr;  // [blocks, sorted_size(N)], null: sorted on chip
  int32_t blocks = 0;        // of threads
};
// A power of two that is not below.
int32_t sorted_size(int32_t tiles);
// Where rows do not fit shared memory: blocks that share the scratch.
inline constexpr int kGlobalSortBlocks = 256;

// Of a query tile i: its masses M[i, :], its scores Z[i, :].
struct TileOrders {
  const float* map = nullptr;     // [num_heads, N, N]
  const float* scores = nullptr;  // [num_heads, N, N]
  const float* sizes = nullptr;   // [N] n_i
  int32_t num_heads = 0, num_tiles = 0;
  double tokens = 0.0;  // video tokens
  Fractions fractions;
  OrderScratch scratch;
};
// values [num_heads, N, 4 F + 4]: coverage of the masses in their own order and in that of the
// scores, density and recall of BSA, all times n_i; then mean, deviation, skewness and excess
// kurtosis of the scores.
void reduce_tile_orders(const TileOrders& call, double* values, cudaStream_t stream);

// values [num_rows, F]: sums of the largest masses of each row of masses [num_rows, N].
void reduce_row_orders(const float* masses, int64_t num_rows, int32_t num_tiles,
                       const Fractions& fractions, const OrderScratch& scratch, double* values,
                       cudaStream_t stream);

}  // namespace sparsescope::cuda
