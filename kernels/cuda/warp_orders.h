// The statistics of reduce_orders.h for rows of at most kMaxWarpSort tiles.
#pragma once

#include "kernels/cuda/reduce_orders.h"

namespace sparsescope::cuda {

void reduce_tile_orders_in_warps(const TileOrders& call, double* values, cudaStream_t stream);
void reduce_row_orders_in_warps(const float* masses, int64_t num_rows, int32_t num_tiles,
                                const Fractions& fractions, double* values, cudaStream_t stream);

}  // namespace sparsescope::cuda
