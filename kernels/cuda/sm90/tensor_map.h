// Descriptions of packed keys and values for the copy engine.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda::sm90 {

// Rows of 16-bit elements [heads, rows, head_dim], head_dim 64 or 128; heads and rows this many
// elements apart.
struct PackedTensor {
  const void* data = nullptr;
  int64_t heads = 0, rows = 0;
  int32_t head_dim = 0;
  int64_t stride_head = 0, stride_row = 0;
};

// heads, counted from the first one of the rows, and as many rows of each.
template <int kHeadDim, typename Elem>
PackedTensor packed_tensor(const HeadRows<Elem>& packed, int64_t heads, int64_t rows) {
  return {.data = packed.data,
          .heads = heads,
          .rows = rows,
          .head_dim = kHeadDim,
          .stride_head = packed.stride_head,
          .stride_row = packed.stride_row};
}

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
