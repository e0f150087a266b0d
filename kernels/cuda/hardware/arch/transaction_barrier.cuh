// Barriers in shared memory that count arrivals of threads and bytes of the copy engine (mbarrier,
// sm_90). A phase ends when all arrivals and all expected bytes are there; phases are told apart by
// their parity: 0 for the first, then 1, 0, ...
#pragma once

#include <cstdint>

#include "arch/block.cuh"

namespace sparsescope::cuda {

struct TransactionBarrier {
  uint64_t state;
};

// By one thread; the others may use it after fence_barrier_init by that thread and __syncthreads.
__device__ inline void init_barrier(TransactionBarrier& barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
               "r"(arrivals)
               : "memory");
}

// Shows initialised barriers to the copy engine.
__device__ inline void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ inline void arrive(TransactionBarrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier))
               : "memory");
}

// Makes the present phase wait for so many bytes as well.
__device__ inline void expect_bytes(TransactionBarrier& barrier, int bytes) {
  asm volatile(
      "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
      "r"(bytes)
      : "memory");
}

// The two in one.
__device__ inline void arrive_expecting(TransactionBarrier& barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
      "r"(bytes)
      : "memory");
}

// Waits for the end of the phase of this parity; returns at once where the phase under way has the
// other one.
__device__ inline void wait_for_phase(TransactionBarrier& barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(shared_address(&barrier)),
      "r"(parity)
      : "memory");
}

}  // namespace sparsescope::cuda
