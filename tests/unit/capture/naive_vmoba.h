// VMoBA's curves from whole gate and probability matrices, selections by select_blocks.
#pragma once

#include <set>
#include <vector>

#include "capture/vmoba_rule.h"
#include "core/token_grid.h"
#include "unit/capture/naive_statistics.h"

namespace sparsescope::naive {

struct VmobaFacts {
  int64_t blocks = 0;
  int64_t keys = 0;           // video tokens
  std::vector<int32_t> self;  // [rows] in the partition's token order, as all that follows
  std::vector<double> size;   // [blocks]
  std::vector<float> gate;    // [H, blocks, rows]
  std::vector<double> mass;   // [H, blocks, rows]
};

// probs [H]; rows: video tokens that are measured, all where empty
VmobaFacts vmoba_facts(const Call& call, const std::vector<Matrix>& probs,
                       const Partition& partition, const std::set<int32_t>& rows = {});

struct HeadResult {
  double density = 0, recall = 0;
};
// [H]
std::vector<HeadResult> apply_rule(const VmobaFacts& facts, int64_t heads, const GateRule& rule);

}  // namespace sparsescope::naive
