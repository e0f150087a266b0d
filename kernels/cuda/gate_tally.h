// What the pools' cuts keep.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/gate_pools.h"
#include "kernels/cuda/gate_reduction.h"

namespace sparsescope::cuda {

inline constexpr double kTallyUnit = 1.0 / (1 << 30);  // of mass

// Sums of the entries by the first tau that keeps them; those of none are left out.
struct GateTally {
  unsigned long long* mass = nullptr;    // [H, partitions, kinds, taus] in kTallyUnit
  unsigned long long* tokens = nullptr;  // likewise, sizes of blocks
};
// Of the chunk's rows; rows has its heads. The pools' limits are known.
void tally_pools(const GateRows& rows, const GatePool* pools, const BlockMassChunk& chunk,
                 const GateTally& tally, cudaStream_t stream);

}  // namespace sparsescope::cuda
