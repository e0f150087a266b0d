// The cuts of all pools, found level by level, and what they keep.
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

struct GateHistograms {
  unsigned long long* counts = nullptr;   // [pools, kGateHistogram]
  unsigned long long* weights = nullptr;  // likewise, in half steps
};
// Adds the gates of the rows' heads.
void count_gates(const GateRows& rows, const GateLevel& level, const GatePool* pools,
                 const GateHistograms& histograms, cudaStream_t stream);
// Takes the level's bits of every cut from the histograms.
void locate_cuts(int32_t num_pools, const GateLevel& level, const GateHistograms& histograms,
                 GatePool* pools, cudaStream_t stream);

// Sums of the entries by the first tau that keeps them; those of none are left out.
struct GateTally {
  unsigned long long* mass = nullptr;    // [H, partitions, kinds, taus] in 2^-27
  unsigned long long* tokens = nullptr;  // likewise, sizes of blocks
};
// Of the rows first_row to first_row + num_rows - 1 of rows' heads; masses [num_heads, blocks,
// num_rows].
void tally_pools(const GateRows& rows, const GatePool* pools, const float* masses,
                 int32_t first_row, int32_t num_rows, const GateTally& tally, cudaStream_t stream);

}  // namespace sparsescope::cuda
