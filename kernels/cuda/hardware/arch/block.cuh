// Block-wide operations.
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

// The launch's dynamic shared memory, aligned to 1,024 bytes as swizzled matrices want it.
__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char shared_bytes[];
  return shared_bytes;
}

// As instructions and descriptors name it.
__device__ inline uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Waits for num_threads threads (a multiple of 32) at barrier idx, 1 to 15.
__device__ inline void sync_named(int idx, int num_threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(idx), "r"(num_threads) : "memory");
}

// The same barrier; whether the predicate holds for any of the threads.
__device__ inline bool any_named(int idx, int num_threads, bool predicate) {
  int any;
  asm volatile(
      "{\n"
      ".reg .pred mine, all;\n"
      "setp.ne.s32 mine, %3, 0;\n"
      "bar.red.or.pred all, %1, %2, mine;\n"
      "selp.s32 %0, 1, 0, all;\n"
      "}"
      : "=r"(any)
      : "r"(idx), "r"(num_threads), "r"(static_cast<int>(predicate))
      : "memory");
  return any != 0;
}

// The value, as one that the compiler knows nothing of: what is computed from it in a loop is
// computed there, not kept in registers from before it.
__device__ inline int computed_anew(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Orders the thread's own accesses of shared memory before those that the copy engine and wgmma
// make (the async proxy) once they are told to: by whoever wrote, before the barrier.
__device__ inline void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Counts as one of the threads at the barrier without waiting there.
__device__ inline void arrive_named(int idx, int num_threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(idx), "r"(num_threads) : "memory");
}

}  // namespace sparsescope::cuda
