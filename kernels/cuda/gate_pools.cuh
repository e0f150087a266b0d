// How kernels find the pools of a gate, and its step in each.
#pragma once

#include "kernels/cuda/gate_pools.h"

namespace sparsescope::cuda {

enum GatePoolKind { kHeadPool, kBlockPool, kPartitionPool };

// Of the gates of a head (among all) to a block.
__device__ inline int32_t pool_number(int kind, const GateRows& rows, const GateBlock& of,
                                      int block, int head) {
  const int32_t first = first_pool(of.partition, of.first_block, rows.total_heads);
  if (kind == kHeadPool) return first + head;
  const int32_t place = kind == kBlockPool ? block - of.first_block : of.num_blocks;
  return first + rows.total_heads + place;
}

// In fp64: fp32 would tell fewer gates apart than there are.
__device__ inline int step_of(float gate, double lo, double scale) {
  return min(static_cast<int>((gate - lo) * scale), kGateSteps - 1);
}

}  // namespace sparsescope::cuda
