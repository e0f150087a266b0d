// The threshold rule's arithmetic within a query, in fp64.
#pragma once

#include "kernels/cuda/gate_ranks.h"

namespace sparsescope::cuda {

__device__ inline unsigned long long rank_units(double mass) {
  return static_cast<unsigned long long>(mass * (1.0 / kRankUnit) + 0.5);
}

struct RowRange {
  double own = 0.0, lo = 0.0, width = 1.0;

  // best, least: gates of the other blocks, where there are any
  __device__ RowRange(double own_gate, bool others, double best, double least)
      : own(own_gate), lo(others ? fmin(own_gate, least) : own_gate) {
    const double hi = others ? fmax(own_gate, best) : own_gate;
    if (hi - lo > 1e-6) width = hi - lo;
  }
  // The width times what the rule weighs an entry with.
  __device__ double weight(double gate) const { return gate - lo; }
  // What the other entries that a tau keeps have to weigh; others: all of them.
  __device__ double needed(int tau, double others) const {
    const double wanted = (tau + 1.0) * (1.0 / (kGateTaus + 1.0));
    return fmax(0.0, wanted * (weight(own) + others + 1e-6 * width) - weight(own));
  }
};

__device__ inline int last_block_size(const RankCall& call) {
  return call.rows.blocks[call.of.first_block + call.of.num_blocks - 1].size;
}
__device__ inline float own_gate(const RankCall& call, int head, int row) {
  return call.rows
      .own[(int64_t{head} * call.rows.num_partitions + call.of.partition) * call.rows.num_rows +
           call.chunk.first_row + row];
}
// Of the partition's first rank.
__device__ inline int64_t first_rank(const RankCall& call, int head) {
  return int64_t{call.rows.first_head + head} * call.rows.num_blocks + call.of.first_block;
}
__device__ inline int64_t first_tau(const RankCall& call, int head) {
  return (int64_t{call.rows.first_head + head} * call.rows.num_partitions + call.of.partition) *
         kGateTaus;
}

}  // namespace sparsescope::cuda
