// Probability between coordinates along t, h and w, from the bins of a chunk. An entry is a
// coordinate that rows of a row block have along an axis; first each entry's rows are summed, then
// each coordinate's entries, in their order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

struct AxisTable {
  int32_t extent = 0;
  int32_t first_bin = 0;                      // of the axis, among the chunk's bins
  const int32_t* first = nullptr;             // [video row blocks + 1] into lanes
  const uint64_t* lanes = nullptr;            // [entries] bit i: lane i has the coordinate
  const int32_t* coordinate_first = nullptr;  // [extent + 1] into by_coordinate
  const int32_t* by_coordinate = nullptr;     // [entries] by coordinate, then ascending
};

// The entries of a chunk's video row blocks.
struct AxisChunk {
  MassChunk chunk;
  AxisTable axis;
  int32_t num_blocks = 0;  // video row blocks, the chunk's first ones
  int32_t first_entry = 0, num_entries = 0;
};
// pairs [num_heads, stride] += sums over rows [row's coordinate, key's coordinate]. scratch
// [num_heads, num_entries, extent].
void reduce_axis(const AxisChunk& call, double* scratch, double* pairs, int64_t stride,
                 cudaStream_t stream);

}  // namespace sparsescope::cuda
