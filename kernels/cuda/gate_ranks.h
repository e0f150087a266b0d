// VMoBA's rules within a query: blocks by gate, the own one first. Top-k, and the thresholds of the
// query_head pool.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/gate_pools.h"

namespace sparsescope::cuda {

// Bytes that a row of most_blocks blocks takes in shared memory. Longer rows than fit use scratch
// in global memory.
int64_t rank_bytes(int32_t most_blocks);
inline constexpr int64_t kMaxRankBytes = int64_t{96} << 10;

struct GateRanks {
  GateRows rows;
  const float* masses = nullptr;  // [num_heads, blocks, num_rows] of the rows taken
  int32_t first_row = 0, num_rows = 0;
  uint8_t* scratch = nullptr;  // null, or [scratch_blocks, rank_bytes(most blocks)]
  int32_t scratch_blocks = 0;
  // Results.
  float* ranked = nullptr;     // [num_heads, num_rows, blocks] masses by rank
  int32_t* last_at = nullptr;  // [H, blocks] += at the rank of each partition's last block: the
                               // only one that may be smaller
  double* by_tau = nullptr;    // [num_heads, num_rows, partitions, 2, taus] mass, tokens
};
void rank_gates(const GateRanks& call, cudaStream_t stream);

}  // namespace sparsescope::cuda
