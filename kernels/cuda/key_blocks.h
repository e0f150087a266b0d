// The ranges of a selection in blocks of at most 64 keys: what one thread block sums gradients of.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/attention.h"

namespace sparsescope::cuda {

struct RangeBlock {
  int32_t range = 0;
  int32_t first = 0;  // position in key_order
  int32_t count = 0;  // 1 .. 64
};

// Blocks that these ranges can at most be cut into.
inline int64_t max_range_blocks(const SparseSelection& selection) {
  return selection.num_ranges + selection.num_keys / 64;
}

// blocks [max_range_blocks], the last range's first: text, which every row takes, stands last in
// the lists. selection: device pointers.
void cut_ranges(const SparseSelection& selection, RangeBlock* blocks, int32_t* num_blocks,
                cudaStream_t stream);

}  // namespace sparsescope::cuda
