// Descriptions of packed keys and values for the copy engine.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace sparsescope::cuda::sm90 {

inline constexpr int kBoxRows = 64;

// Rows of 16-bit elements [heads, rows, head_dim], head_dim 64 or 128; heads and rows this many
// elements apart. Boxes of 64 rows of one head, in strips of 64 columns with the 128-byte swizzle
// (matrix_descriptor.cuh). Coordinates: (0, first row, 0, head).
CUtensorMap map_rows(const void* data, int64_t heads, int64_t rows, int32_t head_dim,
                     int64_t stride_head, int64_t stride_row);

}  // namespace sparsescope::cuda::sm90
