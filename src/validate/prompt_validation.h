// One prompt of a validation: its dense trajectory with the plan measured beside it, its
// free-running sparse video, and where asked for one with the plan in each layer or step alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/codec.h"
#include "model/denoiser.h"
#include "sparse/sparse_executor.h"
#include "validate/compare_hook.h"
#include "validate/summary.h"
#include "validate/validate.h"

namespace sparsescope {

class PromptValidation {
 public:
  // All must outlive this.
  PromptValidation(const ValidationRequest& request, const Denoiser& denoiser,
                   const RunMonitor& monitor);

  // Error(kInterrupted) where the monitor asks to stop, before a step.
  PromptOutcome run(int64_t prompt);
  void skip(int64_t prompt);  // finished by an earlier start: progress alone

 private:
  TrajectoryState start(int64_t prompt) const;
  HostTensor run_dense(int64_t prompt, PromptOutcome& outcome);
  // Free-running: the latents at the end.
  HostTensor run_with(AttentionHook& hook, int64_t prompt, const std::string& what);
  // The latents' error of the plan in each of count layers or steps alone.
  std::vector<double> run_alone(int64_t prompt, const HostTensor& dense, int64_t count,
                                const char* unit, Plan (*plan_of)(const Plan&, int64_t));
  HostTensor compare_branch(const TrajectoryState& state, int64_t prompt, Branch branch,
                            PromptOutcome& outcome);
  void steps_done(int64_t count, const std::string& what);
  std::string place(const std::string& run, int64_t prompt, int64_t step) const;
  int64_t trajectories() const;  // of every prompt

  const ValidationRequest& request_;
  const Denoiser& denoiser_;
  const RunMonitor& monitor_;
  CompareHook compare_;
  SparseHook sparse_;
  std::optional<LinearCodec> codec_;
  int64_t num_prompts_, num_steps_;
  int64_t done_ = 0;  // steps of all trajectories
};

}  // namespace sparsescope
