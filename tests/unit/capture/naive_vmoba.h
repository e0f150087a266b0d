// VMoBA's curves from whole gate and probability matrices, selections by select_blocks.
#pragma once

#include <vector>

#include "capture/vmoba_rule.h"
#include "core/token_grid.h"
#include "unit/capture/naive_statistics.h"

namespace sparsescope::naive {

struct VmobaFacts {
  int64_t blocks = 0;
  std::vector<int32_t> self;  // [S] in the partition's token order, as all that follows
  std::vector<double> size;   // [blocks]
  std::vector<float> gate;    // [H, blocks, S]
  std::vector<double> mass;   // [H, blocks, S]
};

// probs [H]
VmobaFacts vmoba_facts(const Call& call, const std::vector<Matrix>& probs,
                       const Partition& partition);

struct HeadResult {
  double density = 0, recall = 0;
};
// [H]
std::vector<HeadResult> apply_rule(const VmobaFacts& facts, int64_t heads, const GateRule& rule);

}  // namespace sparsescope::naive
