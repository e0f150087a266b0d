// VMoBA's threshold rule in the pools that span queries (a head, a block over all heads, a whole
// partition), for every tau at once.
//
// A pool's gates are counted in kGateSteps steps of its range, as fine as fp32 tells gates apart.
// Four passes over the gates find the step of every cut, ten and then six bits at a time, from sums
// of steps: integers, which depend on no order. A cut keeps every entry of its step, where the
// host's rule ranks equal gates by block, head and row.
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
  float limit[kGateTaus];     // once all bits are known: gates not below it are kept
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

}  // namespace sparsescope::cuda
