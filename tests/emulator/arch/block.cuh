// The twin of the block-wide operations.
#pragma once

#include "emulator/engine.h"

namespace sparsescope::cuda {

inline unsigned char* dynamic_shared() { return emulator::dynamic_shared(); }

// Waits for num_threads threads (a multiple of 32) at barrier idx, 1 to 15.
inline void sync_named(int idx, int num_threads) { emulator::meet_at_barrier(idx, num_threads); }

inline int computed_anew(int value) { return value; }

}  // namespace sparsescope::cuda
