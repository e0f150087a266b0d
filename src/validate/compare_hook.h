// Dense attention whose result the model uses, and beside it, on the same q, k and v, the sparse
// attention of a plan: how far each head's output moves, and what both cost.
#pragma once

#include <memory>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "plan/plan.h"
#include "validate/report.h"

namespace sparsescope {

struct AttentionTimes {
  double dense_seconds = 0;
  double sparse_seconds = 0;  // without the selection
  double selection_seconds = 0;
};

class CompareHook : public AttentionHook {
 public:
  // plan must outlive the hook.
  CompareHook(const Plan& plan, Impl impl, ThreadPool& pool);
  ~CompareHook() override;
  MemorySpace space() const override;
  void attend(const AttentionCall& call) override;  // batch 1

  std::vector<SiteResult> take_sites();  // since the last take, in the order of the calls
  AttentionTimes take_times();           // spent since the last take

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
