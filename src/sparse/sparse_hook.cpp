#include "core/error.h"
#include "sparse/sparse_executor.h"

namespace sparsescope {

struct SparseHook::State {
  const Plan& plan;
  SparseExecutor executor;
  SparseRun last;
  double selection_seconds = 0;
  double attention_seconds = 0;
};

SparseHook::SparseHook(const Plan& plan, Impl impl, ThreadPool& pool)
    : state_(new State{.plan = plan, .executor = SparseExecutor(plan.tile, impl, pool)}) {}

SparseHook::~SparseHook() = default;

MemorySpace SparseHook::space() const { return state_->executor.space(); }

void SparseHook::attend(const AttentionCall& call) {
  const Plan& plan = state_->plan;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, call.grid == plan.grid && call.q.heads == plan.model.heads,
                    "plan: expected grid {} and {} heads, found {} and {}", to_string(plan.grid),
                    plan.model.heads, to_string(call.grid), call.q.heads);
  std::vector<const PlanRule*> rule_of_head;
  for (int64_t head = 0; head < call.q.heads; ++head) {
    rule_of_head.push_back(plan.rule_for(call.site.step, call.site.layer, head));
  }
  state_->last = state_->executor.run(call, rule_of_head, nullptr);
  state_->selection_seconds += state_->last.selection_seconds;
  state_->attention_seconds += state_->last.attention_seconds;
}

const SparseRun& SparseHook::last_run() const { return state_->last; }
double SparseHook::selection_seconds() const { return state_->selection_seconds; }
double SparseHook::attention_seconds() const { return state_->attention_seconds; }

}  // namespace sparsescope
