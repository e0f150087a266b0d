// The twin of the block-wide operations.
#pragma once

#include "emulator/engine.h"

namespace sparsescope::cuda {

inline unsigned char* dynamic_shared() { return emulator::dynamic_shared(); }
inline uint32_t shared_address(const void* shared) { return emulator::shared_address(shared); }

inline void sync_named(int idx, int num_threads) { emulator::meet_at_barrier(idx, num_threads); }
inline bool any_named(int idx, int num_threads, bool predicate) {
  return emulator::vote_at_barrier(idx, num_threads, predicate);
}
inline void arrive_named(int idx, int num_threads) {
  emulator::arrive_at_barrier(idx, num_threads);
}

inline void fence_async_proxy() {}

inline int computed_anew(int value) { return value; }

}  // namespace sparsescope::cuda
