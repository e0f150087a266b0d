// Sparse attention of one call: select per head by the plan's rules, run the block-sparse kernel
// that truly skips, restore pruned queries. Heads without a rule run dense.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "plan/plan.h"

namespace sparsescope {

struct SparseRun {
  std::vector<double>
      density;  // [H] computed pairs over all pairs (real tokens); 1 for dense heads
  double selection_seconds = 0;  // pooling, scores, thresholds, lists; restore where it is a step
                                 // of its own: on the host
  double attention_seconds = 0;  // the kernels
};

class SparseExecutor {
 public:
  SparseExecutor(const TileShape& tile, Impl impl, ThreadPool& pool);
  ~SparseExecutor();
  MemorySpace space() const;  // where it takes calls without copying them
  // rule_of_head: [H], nullptr for dense heads. lse [B, H, S] may be null; the lse of a row runs
  // over its selected keys only, so that exp(lse_sparse - lse_dense) is the captured mass; rows
  // that BSA pruned hold NaN.
  SparseRun run(const AttentionCall& call, std::span<const PlanRule* const> rule_of_head,
                float* lse);

  // Gradients of the last run, of the same call, rules and lse; the selection counts as constant.
  // d_out [B, H, S, D] fp32 with respect to call.out; dq, dk, dv: every row is written.
  void backward(const AttentionCall& call, std::span<const PlanRule* const> rule_of_head,
                const float* lse, const AttentionTensor& d_out, const MutableAttentionTensor& dq,
                const MutableAttentionTensor& dk, const MutableAttentionTensor& dv);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The plan as a hook, with running totals.
class SparseHook : public AttentionHook {
 public:
  // plan must outlive the hook.
  SparseHook(const Plan& plan, Impl impl, ThreadPool& pool);
  ~SparseHook() override;
  MemorySpace space() const override;  // of the implementation
  void attend(const AttentionCall& call) override;
  const SparseRun& last_run() const;
  double selection_seconds() const;
  double attention_seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
