// VMoBA's rules within a query: blocks by gate, the own one first. Top-k, and the thresholds of the
// query_head pool. Rows of up to kMaxWarpBlocks blocks are ranked by a warp each, longer ones by a
// block of threads.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <span>

#include "kernels/cuda/gate_pools.h"
#include "kernels/cuda/gate_reduction.h"

namespace sparsescope::cuda {

inline constexpr double kRankUnit = 1.0 / (int64_t{1} << 40);  // of mass: sums depend on no order

struct RankSums {
  unsigned long long* mass = nullptr;  // [H, blocks] by rank, in kRankUnit
  int32_t* last_at = nullptr;  // [H, blocks] at the rank of each partition's last block: the only
                               // one that may be smaller
  // What each tau keeps.
  unsigned long long* tau_mass = nullptr;    // [H, partitions, taus] in kRankUnit
  unsigned long long* tau_tokens = nullptr;  // likewise
};

// Adds the chunk's rows; rows has its heads. partitions: the first block of each, on the host.
void rank_gates(const GateRows& rows, std::span<const GateBlock> partitions,
                const BlockMassChunk& chunk, const RankSums& sums, cudaStream_t stream);

// Rows of one partition.
struct RankCall {
  GateRows rows;
  BlockMassChunk chunk;
  RankSums sums;
  GateBlock of;  // the partition's first block
};
inline constexpr int32_t kMaxWarpBlocks = 2048;
void rank_by_warps(const RankCall& call, cudaStream_t stream);
void rank_long_rows(const RankCall& call, cudaStream_t stream);

}  // namespace sparsescope::cuda
