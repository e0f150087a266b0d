// A block-sparse plan: what a selector decided for one attention call, apart from its execution.
// It names tokens, blocks and heads but holds no values of q, k or v, so it can be printed, saved,
// loaded, drawn, and run on any inputs of its shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json_io.h"
#include "plan/plan.h"
#include "sparse/selection.h"
#include "sparse/token_layout.h"

namespace sparsescope {

struct BlockPlan {
  Method method = Method::kVsa;  // of the selector; kVsa adds its coarse branch when run
  TokenGrid grid;
  TileShape block;  // tile, or block of the partition
  int64_t prefix = 0, suffix = 0;
  int64_t batch = 0, heads = 0;
  BlockLists lists;  // in the order of layout()

  int64_t tokens() const { return prefix + grid.tokens() + suffix; }
  TokenLayout layout() const { return make_token_layout(TileGrid(grid, block), prefix, suffix); }
};

// Of one (batch, head).
struct HeadPlanSummary {
  int64_t batch = 0, head = 0;
  double density = 0;     // computed pairs over all S * S pairs
  int64_t kept_rows = 0;  // video rows that are computed; the others are restored (BSA)
  // Blocks that a computed video row attends to, text aside.
  int64_t shortest = 0, longest = 0;
  double mean = 0;
  int64_t strands = 0;
};

std::vector<HeadPlanSummary> summarize_plan(const BlockPlan& plan);  // [B * H]
// A few lines and a row a head.
std::string plan_to_text(const BlockPlan& plan);
Json plan_summary_json(const BlockPlan& plan);

// Share of the pairs of a query block and a key block that are computed, [N, N] of one head. Text
// is left out: its rows and keys are always dense.
std::vector<double> block_densities(const BlockPlan& plan, int64_t batch, int64_t head);

}  // namespace sparsescope
