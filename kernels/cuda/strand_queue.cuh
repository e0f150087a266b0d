// How a thread block takes strands off a launch's queue: which block runs a strand is left to the
// moment, what it computes is not.
#pragma once

#include "kernels/cuda/strand_lists.h"

namespace sparsescope::cuda {

// What a block works on, in shared memory: registers are short, and all threads need it.
struct StrandWork {
  SparseStrand strand;
  SparseItem item;
};

// Calls run_item() for the items of every strand that the block takes, in order, with a barrier
// before each; work says which.
template <typename RunItem>
__device__ inline void run_strands(const StrandQueue& queue, const SparseSelection& lists,
                                   StrandWork& work, const RunItem& run_item) {
  for (;;) {
    __syncthreads();
    if (threadIdx.x == 0) {
      const int32_t place = atomicAdd(queue.next, 1);
      work.strand.num_items = -1;
      if (place < *queue.count) work.strand = lists.strands[queue.strands[place]];
    }
    __syncthreads();
    if (work.strand.num_items < 0) return;
    for (int32_t i = 0; i < work.strand.num_items; ++i) {
      __syncthreads();
      if (threadIdx.x == 0) work.item = lists.items[work.strand.first_item + i];
      __syncthreads();
      run_item();
    }
  }
}

}  // namespace sparsescope::cuda
