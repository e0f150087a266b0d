// The copy engine (TMA, sm_90): a box of a tensor in global memory to shared memory.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "arch/transaction_barrier.cuh"

namespace sparsescope::cuda {

// Loads the map ahead of its first use. It must be a kernel parameter of its own, declared
// const __grid_constant__.
__device__ inline void prefetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// Starts to copy the box of a 4-D map whose first element has these coordinates, innermost first.
// What of the box lies outside the tensor is zero. By one thread; the bytes of the whole box count
// at the barrier.
__device__ inline void copy_box(void* shared, const CUtensorMap& map, TransactionBarrier& barrier,
                                int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(shared_address(&barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

}  // namespace sparsescope::cuda
