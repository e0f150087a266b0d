// Which strands a launch runs, found on the device: the host need not see the lists. Within a list
// strands keep the order of the selection.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/attention.h"

namespace sparsescope::cuda {

// Rows of the tiles that the kernels are made for; a strand takes the lowest that holds each of its
// items, and 128 where some items, or all of them if it merges, come in pairs.
enum TileHeight : int32_t { kRows32, kRows64, kRows128, kNumHeights };

// Whether an item and the next one of its strand have their keys in common: they can be worked on
// side by side. No row is in both.
__device__ inline bool are_pair(const SparseItem& item, const SparseItem& next) {
  return item.first_range == next.first_range && item.num_ranges == next.num_ranges;
}

// Blocks of a launch draw strands[0 .. *count) one after the other.
struct StrandQueue {
  const int32_t* strands = nullptr;
  const int32_t* count = nullptr;
  int32_t* next = nullptr;  // 0 at the launch
};

// Strands of heads b * heads + h in [first_head, first_head + num_heads) by tile height.
// strands [kNumHeights, num_strands], counts [kNumHeights]
void list_strands_by_height(const SparseSelection& selection, int32_t heads, int32_t first_head,
                            int32_t num_heads, int32_t* strands, int32_t* counts,
                            cudaStream_t stream);

// strands [num_heads, num_strands], counts [num_heads] for all batch * heads = num_heads.
void list_strands_by_head(const SparseSelection& selection, int32_t heads, int32_t num_heads,
                          int32_t* strands, int32_t* counts, cudaStream_t stream);

}  // namespace sparsescope::cuda
