// The streamed form of VMoBA's rule (capture/vmoba_rule.h), for pools of one query and for pools
// that span queries.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/vmoba_rule.h"
#include "core/thread_pool.h"
#include "sparse/row_selection.h"
#include "sparse/vmoba_gates.h"

namespace sparsescope {

// selections: [planes], all bits clear.
void select_by_query(const VmobaGates& gates, const GateRule& rule, ThreadPool& pool,
                     std::vector<RowSelection>& selections);
void select_by_pool(const VmobaGates& gates, const GateRule& rule, int64_t cache_bytes,
                    ThreadPool& pool, std::vector<RowSelection>& selections);

}  // namespace sparsescope
