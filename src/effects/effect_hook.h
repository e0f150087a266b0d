// How settings of attention move the model's output: a pull-back of directions hands every call's
// gradients over, and the changes of its output under all settings are read along them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/thread_pool.h"
#include "effects/selection_effects.h"
#include "kernels/impl.h"
#include "model/differentiable_hook.h"
#include "plan/plan.h"

namespace sparsescope {

struct SiteEffects {
  SiteKey site;
  std::vector<HeadEffects> heads;  // [H]
};

class EffectHook : public DifferentiableHook {
 public:
  // plan: what attention does, dense where it is null; it must outlive the hook.
  EffectHook(const Plan* plan, const TileShape& tile, std::vector<Partition> partitions, Impl impl,
             ThreadPool& pool);
  ~EffectHook() override;

  // The pull-backs that follow have so many directions.
  void expect(int64_t num_directions, EffectRows rows);

  void attend(const AttentionCall& call) override;  // batch 1
  void attend_backward(const AttentionCall& call, int64_t direction, const AttentionTensor& d_out,
                       const MutableAttentionTensor& dq, const MutableAttentionTensor& dk,
                       const MutableAttentionTensor& dv) override;

  std::vector<SiteEffects> take();  // since the last take, last layer first

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
