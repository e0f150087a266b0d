// The cuts of all pools, found level by level.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/gate_pools.h"

namespace sparsescope::cuda {

// Bits that are known of each cut, and that the next pass finds.
struct GateLevel {
  int known = 0, bits = 0;
};
inline constexpr GateLevel kGateLevels[] = {{0, 10}, {10, 6}, {16, 6}, {22, 6}};
static_assert(kGateLevels[3].known + kGateLevels[3].bits == kGateBits);
// Entries of a pool's histogram at any level: 2^bits, or that for each tau.
inline constexpr int kGateHistogram = kGateTaus * 64;

// weights [pools, kGateHistogram] += those of the gates of the rows' heads, in half steps. An
// entry that was counted weighs at least 1.
void count_gates(const GateRows& rows, const GateLevel& level, const GatePool* pools,
                 unsigned long long* weights, cudaStream_t stream);
// Takes the level's bits of every cut from the histograms; with the last ones, the limits.
void locate_cuts(int32_t num_pools, const GateLevel& level, const unsigned long long* weights,
                 GatePool* pools, cudaStream_t stream);

}  // namespace sparsescope::cuda
