#include "sparse/vmoba_selector.h"

#include <bit>

#include "capture/vmoba_rule.h"
#include "core/error.h"
#include "kernels/row_stats.h"
#include "sparse/vmoba_gates.h"
#include "sparse/vmoba_pools.h"
#include "sparse/vmoba_reference.h"

namespace sparsescope {
namespace {

GatePool gate_pool(VmobaPool pool) {
  switch (pool) {
    case VmobaPool::kQueryHead:
      return GatePool::kQueryHead;
    case VmobaPool::kHeadGlobal:
      return GatePool::kHeadGlobal;
    case VmobaPool::kBlock:
      return GatePool::kBlock;
    case VmobaPool::kOverall:
      return GatePool::kOverall;
  }
  fail(ErrorKind::kInternal, "VMoBA pool of an unknown kind");
}

GateRule gate_rule(const VmobaOptions& options) {
  const VmobaParams& params = options.params;
  const bool top_k = params.select == VmobaSelect::kTopK;
  return {.select = top_k ? GateSelect::kTopK : GateSelect::kThreshold,
          .pool = gate_pool(params.pool),
          .top_k = params.top_k,
          .threshold = params.threshold,
          .compat = options.compat};
}

// compat: attention is dense where nothing but own blocks is selected.
void select_all_if_own_only(const VmobaGates& gates, std::vector<RowSelection>& selections) {
  int64_t selected = 0;
  for (const RowSelection& selection : selections) {
    for (const uint64_t word : selection.bits) selected += std::popcount(word);
  }
  if (selected > gates.num_planes() * gates.num_rows()) return;
  for (RowSelection& selection : selections) {
    for (int64_t word = 0; word < gates.num_words(); ++word) {
      std::fill_n(&selection.bits[word * selection.num_blocks], selection.num_blocks,
                  gates.lane_mask(word));
    }
  }
}

}  // namespace

void check_vmoba_options(const VmobaOptions& options) { check_gate_rule(gate_rule(options)); }

std::vector<RowSelection> select_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                       std::span<const int64_t> heads, const TokenLayout& layout,
                                       const VmobaOptions& options, Impl impl, ThreadPool& pool) {
  const GateRule rule = gate_rule(options);
  check_gate_rule(rule);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    !rule.compat || rule.select == GateSelect::kThreshold ||
                        rule.pool != GatePool::kHeadGlobal || q.batch == 1 ||
                        rule.top_k <= layout.num_tiles(),
                    "VMoBA compat: top-k {} over head_global with {} blocks a sample picks blocks "
                    "of other samples; expected at most as many, or one sample",
                    rule.top_k, layout.num_tiles());
  if (impl == Impl::kReference) return reference_vmoba(q, k, heads, layout, rule);

  const VmobaGates gates(q, k, heads, layout, row_stats_kernels(impl), pool);
  std::vector<RowSelection> selections(gates.num_planes(),
                                       RowSelection(gates.num_blocks(), gates.num_rows()));
  if (rule.pool == GatePool::kQueryHead) {
    select_by_query(gates, rule, pool, selections);
  } else {
    select_by_pool(gates, rule, options.cache_bytes, pool, selections);
  }
  if (rule.compat) select_all_if_own_only(gates, selections);
  return selections;
}

}  // namespace sparsescope
