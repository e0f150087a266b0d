// Means of the rows of each tile or block, as the host's selectors form them: fp32 sums of runs of
// at most 64 rows, one after the other, added up in fp64. The same bits on every device.
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/select_layout.h"

namespace sparsescope::cuda {

inline constexpr int32_t kSegmentRows = 64;

// A run of positions of one tile.
struct RowSegment {
  int32_t first = 0;
  int32_t count = 0;  // at most kSegmentRows
};

struct TileMeans {
  AttentionTensor x;  // [B, H, S, D] on the device
  SelectPlanes planes;
  SelectLayout layout;
  const RowSegment* segments = nullptr;    // [num_segments], tile by tile
  const int32_t* first_segment = nullptr;  // [N + 1]
  int32_t num_segments = 0;
  float* sums =
      nullptr;  // [planes, num_segments, padded_dim] scratch; unused with a segment a tile
  float* means = nullptr;  // [planes, N, padded_dim]
};
void tile_means(const TileMeans& call);

}  // namespace sparsescope::cuda
