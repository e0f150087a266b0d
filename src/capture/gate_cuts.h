// VMoBA's threshold rule for the pools that span more than one query, streamed: gates are
// recomputed from queries and mean keys a row block at a time and never stored.
//
// Pass 1 finds the range of a sample of gates, pass 2 fills histograms over it (count and sum of
// the gates of each bin, for each head and each block), pass 3 collects the gates of the bins in
// which some cut falls and sorts them. The result is the exact cut of select_blocks.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "capture/call_layout.h"
#include "capture/key_means.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// The last entry that a pool keeps, in the order gate descending, then block, head, rank ascending.
struct GateCut {
  float gate = -std::numeric_limits<float>::infinity();  // the default keeps everything
  int32_t block = 0, head = 0, rank = 0;
  bool tied = false;  // some entry of the same gate ranks behind it and is not kept

  bool keeps(float other_gate, int32_t c, int32_t h, int32_t s) const {
    if (other_gate != gate || !tied) return other_gate >= gate;
    if (c != block) return c < block;
    return h != head ? h < head : s <= rank;
  }
  // A threshold t so that "g >= t" decides for all queries of block c and head h; the cut's own
  // block and head need keeps() where the cut is tied.
  float threshold(int32_t c, int32_t h) const;
};

struct PartitionCuts {
  std::vector<GateCut> head_global;  // [H, tau]
  std::vector<GateCut> block;        // [blocks, tau]
  std::vector<GateCut> overall;      // [tau]
};

// [partitions], for the taus of the statistics; of batch entry 0.
std::vector<PartitionCuts> find_gate_cuts(const AttentionTensor& q, const CallLayout& layout,
                                          const KeyMeans& means, const RowStatsKernels& kernels,
                                          ThreadPool& pool);

}  // namespace sparsescope
