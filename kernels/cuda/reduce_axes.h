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

inline constexpr int kAxes = 3;

// All axes of a chunk's video row blocks.
struct AxesChunk {
  MassChunk chunk;
  AxisTable axes[kAxes];
  int32_t num_blocks = 0;          // video row blocks, the chunk's first ones
  double* scratch = nullptr;       // of each axis: [num_heads, entries of the chunk, extent]
  int64_t scratch_first[kAxes]{};  // where that of an axis begins
  double* pairs[kAxes]{};          // [num_heads, stride]
  int64_t stride = 0;
};
// pairs += sums over rows [row's coordinate, key's coordinate].
void reduce_axes(const AxesChunk& call, cudaStream_t stream);

}  // namespace sparsescope::cuda
