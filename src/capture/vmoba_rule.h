// VMoBA's selection as a pure function of the gates of one call (batch 1).
//
//   gate[h,c,s] = mean key of block c . query s      (no scale, no softmax)
//   top-k:      a pool's own entries first, then its largest gates; k (times the queries of the
//   pool)
//               entries are kept
//   threshold:  n = (gate - lo) / (hi - lo) over the pool; beyond the own entries, the largest n
//   until
//               own and kept entries hold tau of the pool's sum; at least one entry, all where tau
//               is out of reach
// A query's own block is always kept. Ties: larger gate, then c, h, s ascending.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

// The entries that compete with each other: one query of a head, a whole head, one block over all
// heads and queries, the whole call.
enum class GatePool { kQueryHead, kHeadGlobal, kBlock, kOverall };
enum class GateSelect { kTopK, kThreshold };

struct GateRule {
  GateSelect select = GateSelect::kTopK;
  GatePool pool = GatePool::kQueryHead;
  int64_t top_k = 1;       // own block included; more than the blocks counts as all of them
  double threshold = 0.0;  // tau
};

// Queries stand in the partition's own order (a block's tokens are contiguous) where ties are to
// fall as in VMoBA; any other order changes nothing but ties.
struct GateView {
  const float* gate = nullptr;          // [H, N, S]
  int64_t heads = 0;                    // H
  int64_t blocks = 0;                   // N
  int64_t tokens = 0;                   // S
  std::span<const int32_t> self_block;  // [S] the block that query s lies in
};

// uint8 [H, N, S], 1 where query s of head h attends block c. Error(kUsage) for top-k over the
// block pool and for top_k < 1.
std::vector<uint8_t> select_blocks(const GateView& gates, const GateRule& rule);

// The threshold rule's arithmetic, shared with the streamed statistics. Sums run over the pool's
// entries, own ones included.
struct PoolRange {
  double lo = 0.0, hi = 0.0;
  // hi - lo, or 1 where all gates are equal
  double width() const { return hi - lo <= 1e-6 ? 1.0 : hi - lo; }
};

// The sum of normalised gates that the pool's other entries have to reach:
//   max(0, tau - own / (tot + 1e-6)) * (tot + 1e-6)
double needed_weight(double threshold, double own_weight, double total_weight);

}  // namespace sparsescope
