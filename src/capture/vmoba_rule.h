// VMoBA's selection as a pure function of the gates of one call, the definition that the streamed
// selector and the streamed statistics are tested against.
//
//   gate[h,c,s] = mean key of block c . query s      (no scale, no softmax)
//   top-k:      a pool's own entries first, then its largest gates; k times the queries of the pool
//               are kept
//   threshold:  n = (gate - lo) / (hi - lo) over the pool; beyond the own entries, the largest n
//               until own and kept entries hold tau of the pool's sum; at least one entry, all
//               where tau is out of reach
//
// A query's own block is always kept. Ties: larger gate, then c, h, s ascending. n counts in whole
// steps of about 2^-30 of the pool's range, so that sums do not depend on their order.
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
  // As the public code: pools span the samples of a batch; where tau is out of reach, the
  // query_head and block pools keep two entries; top-k clamps to the blocks of the batch and,
  // head_global, may pick blocks of other samples; attention is dense where nothing but own blocks
  // is selected.
  bool compat = false;
};

// Queries stand in the partition's own order (a block's tokens are contiguous) where ties are to
// fall as in VMoBA; any other order changes nothing but ties.
struct GateView {
  const float* gate = nullptr;          // [H, N, S]
  int64_t heads = 0;                    // H
  int64_t blocks = 0;                   // N, of all samples
  int64_t tokens = 0;                   // S, of all samples
  std::span<const int32_t> self_block;  // [S] the block that query s lies in
  // The sample of each block and query, ascending; empty for one sample. Gates between samples are
  // not read.
  std::span<const int32_t> block_sample = {};  // [N]
  std::span<const int32_t> token_sample = {};  // [S]
};

// uint8 [H, N, S], 1 where query s of head h attends block c. Error(kUsage) for top-k over the
// block pool and for top_k < 1.
std::vector<uint8_t> select_blocks(const GateView& gates, const GateRule& rule);
// The same errors.
void check_gate_rule(const GateRule& rule);

// The threshold rule's arithmetic, shared with the streamed selector and statistics. Sums run over
// the pool's entries, own ones included.
struct PoolRange {
  double lo = 0.0, hi = 0.0;
  // hi - lo, or 1 where all gates are equal
  double width() const { return hi - lo <= 1e-6 ? 1.0 : hi - lo; }
};

// The sum of normalised gates that the pool's other entries have to reach:
//   max(0, tau - own / (tot + 1e-6)) * (tot + 1e-6)
// All in multiples of 1 / unit.
double needed_weight(double threshold, double own_weight, double total_weight, double unit = 1.0);

// n as a number of steps. The scale is a power of two: a weight is the same however it is computed.
struct GateSteps {
  float lo = 0.0f;
  float scale = 0.0f;  // steps per unit of the gate; hi weighs 2^29 to 2^30 steps
  double unit = 1.0;   // steps of n = 1

  GateSteps() = default;
  GateSteps(float least, float largest);
  int64_t weight(float gate) const { return static_cast<int32_t>((gate - lo) * scale); }
  // Least sum of steps that the other entries have to reach; 0: the first entry alone.
  int64_t target(double threshold, int64_t own_weight, int64_t total_weight) const;
};

}  // namespace sparsescope
