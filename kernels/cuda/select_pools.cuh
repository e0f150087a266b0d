// The numbers of pools.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_pools.h"

namespace sparsescope::cuda {

// The pool of a block's entries in a plane.
__device__ inline int32_t pool_of(const Pools& pools, int32_t plane, int32_t column) {
  if (pools.rule.span == PoolSpan::kPlane) return plane;
  const int32_t sample = plane / pools.heads;
  return pools.rule.span == PoolSpan::kSample ? sample : sample * pools.num_tiles + column;
}

}  // namespace sparsescope::cuda
