// The selections of one attention call: every sparse head by its rule, sorted into the kernel calls
// that can serve them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "plan/plan.h"
#include "sparse/selection.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// Heads whose lists share one key order, and so one kernel call.
struct SparseGroup {
  const TokenLayout* layout = nullptr;
  std::vector<int64_t> heads;
  BlockLists lists;
};

// The tiles or blocks that a rule selects among; tile is the plan's.
TileGrid tiles_of_rule(const PlanRule& rule, const TokenGrid& grid, const TileShape& tile);

using LayoutOf = std::function<const TokenLayout&(const TileGrid& tiles)>;

// rule_of_head: [H], nullptr for dense heads. layout_of keeps the layouts, and must outlive the
// groups.
std::vector<SparseGroup> select_heads(const AttentionCall& call, const TileShape& tile,
                                      std::span<const PlanRule* const> rule_of_head,
                                      const LayoutOf& layout_of, Impl impl, ThreadPool& pool);

}  // namespace sparsescope
