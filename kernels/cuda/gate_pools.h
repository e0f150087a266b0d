// VMoBA's threshold rule in the pools that span queries (a head, a block over all heads, a whole
// partition), for every tau at once.
//
// A pool's gates are counted in kGateSteps steps of its range, as fine as fp32 tells gates apart.
// Four passes over the gates find the step of every cut, ten and then six bits at a time, from
// counts and sums of steps: integers, which depend on no order. A cut keeps every entry of its
// step, where the host's rule ranks equal gates by block, head and row.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/gate_values.h"

namespace sparsescope::cuda {

inline constexpr int kGateTaus = 19;  // tau i is (i + 1) / (kGateTaus + 1)
inline constexpr int kGatePoolKinds = 3;
inline constexpr int kGateBits = 28;
inline constexpr int kGateSteps = 1 << kGateBits;

// Gates of one head to one block.
struct GateRange {
  float lo = 0.0f, hi = 0.0f;  // own ones included
  int32_t own_count = 0;
  double own_sum = 0.0;
};

struct GatePool {
  double lo = 0.0, scale = 0.0;  // steps per unit of the gate
  double own = 0.0;              // weight of the own entries, in half steps, as what follows
  double needed[kGateTaus];      // weight that the kept entries have to reach
  unsigned long long before[kGateTaus];  // weight above the prefix
  int32_t prefix[kGateTaus];  // upper bits of the step of the cut; -1: everything is kept
};

// Pools are numbered by partition: its heads, its blocks, the partition itself.
inline __host__ __device__ int32_t first_pool(int32_t partition, int32_t first_block,
                                              int32_t heads) {
  return first_block + partition * (heads + 1);
}
inline int32_t num_pools(int32_t partitions, int32_t blocks, int32_t heads) {
  return blocks + partitions * (heads + 1);
}

// ranges [H, blocks] of the rows' heads
void find_gate_ranges(const GateRows& rows, GateRange* ranges, cudaStream_t stream);
// From the ranges of all heads: lo, scale and own of every pool.
void make_gate_pools(const GateRows& rows, const GateRange* ranges, GatePool* pools,
                     cudaStream_t stream);

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
