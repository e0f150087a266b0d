// The selection of heads that share a kernel call, wherever it was made and lies: what
// SparseExecutor needs of it before, during and after the kernel.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "plan/plan.h"
#include "sparse/selection.h"
#include "sparse/token_layout.h"

namespace sparsescope {

class SelectedGroup {
 public:
  virtual ~SelectedGroup() = default;

  virtual SparseSelection view() const = 0;
  virtual BlockLists to_host() const = 0;  // the same lists
  // Adds the densities of the group's (batch, head) pairs to [H].
  virtual void add_density(std::span<double> of_head) const = 0;
  // BSA: some rows are in no item and take the output of others, or zeros.
  virtual bool restores() const = 0;
  // Those that the kernel writes.
  virtual RowCopies copies() const { return {}; }
  // Whether restore() is to be called behind the kernel.
  bool restores_apart() const { return restores() && copies().num_rows == 0; }

  // The rest is called where it restores. NaN into the lse [B, H, S] of the group's heads.
  virtual void mark_pruned(float* lse) const = 0;
  virtual void restore(const MutableAttentionTensor& out) const = 0;
  // Of d_out, what the kept queries of the group's heads answer for; zeros in other heads. It is
  // valid until the next call.
  virtual AttentionTensor gather_gradients(const AttentionTensor& d_out) = 0;
};

using SelectedGroups = std::vector<std::unique_ptr<SelectedGroup>>;
// Keeps layouts, which outlive the groups.
using SharedLayoutOf = std::function<std::shared_ptr<const TokenLayout>(const TileGrid& tiles)>;

// What selectors are told. rule_of_head: [H], nullptr for dense heads.
struct GroupingCall {
  const AttentionCall& call;
  TileShape tile;
  std::span<const PlanRule* const> rule_of_head;
  SharedLayoutOf layout_of;
};

SelectedGroups select_host_groups(const GroupingCall& grouping, Impl impl, ThreadPool& pool);

}  // namespace sparsescope
