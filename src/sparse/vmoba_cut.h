// The last entry that a pool of gates keeps, found without storing or sorting them: a radix search
// over the order of floats, a pass over the gates for each digit.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "capture/vmoba_rule.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// Larger gates are kept, and so many of those equal to gate, in the order of block, head, query.
struct PoolCut {
  float gate = std::numeric_limits<float>::infinity();
  int64_t ties = 0;  // the default keeps nothing

  static PoolCut everything() {
    return {-std::numeric_limits<float>::infinity(), std::numeric_limits<int64_t>::max()};
  }
};

// Hands all entries of a pool to use(gates, count, worker) in pieces, from any of its workers. An
// entry of +infinity is none of the pool. count is a multiple of 64.
using UseGates = std::function<void(const float* gates, int64_t count, int worker)>;
using GateScan = std::function<void(const UseGates& use)>;

class CutSearch {
 public:
  CutSearch(const RowStatsKernels& kernels, int workers);

  // The best `count` entries.
  PoolCut best(const GateScan& scan, int64_t count);
  // The threshold rule. own: weight of the pool's own entries. fallback: how many are kept where
  // tau is out of reach.
  PoolCut by_threshold(const GateScan& scan, const GateSteps& steps, double threshold, int64_t own,
                       int64_t fallback);

 private:
  // Adds up the first digit; returns the weight of all entries.
  int64_t start(const GateScan& scan, const GateSteps& steps, int32_t least);
  // The entries, from the best one, that reach target, which all of them do.
  PoolCut finish(const GateScan& scan, const GateSteps& steps, int64_t target);
  void add_digit(const GateScan& scan);

  const RowStatsKernels& kernels_;
  GateDigit digit_;
  std::vector<std::vector<int64_t>> sums_;  // [workers][2, kDigitPlaces]
};

}  // namespace sparsescope
