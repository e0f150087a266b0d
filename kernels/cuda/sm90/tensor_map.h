// Descriptions of packed keys and values for the copy engine.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace sparsescope::cuda::sm90 {

// Rows of 16-bit elements [heads, rows, head_dim], head_dim 64 or 128; heads and rows this many
// elements apart.
struct PackedTensor {
  const void* data = nullptr;
  int64_t heads = 0, rows = 0;
  int32_t head_dim = 0;
  int64_t stride_head = 0, stride_row = 0;
};

// Boxes of box_rows rows of one head, in strips of 64 columns with the 128-byte swizzle
// (matrix_descriptor.cuh): all strips, or one of them. Coordinates: (0, first row, strip, head).
CUtensorMap map_rows(const PackedTensor& tensor, int box_rows, bool all_strips);

// For any number of rows up to 64: a map for every power of two.
struct PieceMaps {
  static constexpr int kMaps = 7;
  CUtensorMap of_rows[kMaps];  // 1 << idx rows, one strip
};
PieceMaps map_pieces(const PackedTensor& tensor);

}  // namespace sparsescope::cuda::sm90
