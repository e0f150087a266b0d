// Dense attention as a hook: the baseline of every comparison.
#pragma once

#include <memory>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"

namespace sparsescope {

class DenseHook : public AttentionHook {
 public:
  DenseHook(Impl impl, ThreadPool& pool);
  ~DenseHook() override;
  MemorySpace space() const override;  // of the implementation
  void attend(const AttentionCall& call) override;
  // The same with the log-sum-exp of every row, [B, H, S], which lies where out does.
  void attend_with_lse(const AttentionCall& call, float* lse);
  double attention_seconds() const;  // spent in the kernel so far

 private:
  struct State;  // keeps the layout of the last grid
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
