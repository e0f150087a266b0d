// The twin of sums in global memory.
#pragma once

#include <cstdint>

#include "emulator/engine.h"

namespace sparsescope::cuda {

inline void add_to_global(float* to, float4 values) {
  if (reinterpret_cast<uintptr_t>(to) % sizeof(float4) != 0) {
    throw emulator::Fault("emulator: red.v4 to an address that is not aligned to 16");
  }
  to[0] += values.x;
  to[1] += values.y;
  to[2] += values.z;
  to[3] += values.w;
}

}  // namespace sparsescope::cuda
