// What settings of attention do to the model's output, measured at a state of a trajectory: for
// every layer and head, the change of the output's squared relative error under each setting of
// each method, from one forward pass and the pull-back of a few directions.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/site_statistics.h"
#include "core/thread_pool.h"
#include "effects/effect_hook.h"
#include "kernels/impl.h"
#include "model/denoiser.h"
#include "plan/plan.h"

namespace sparsescope {

struct OutputEffectOptions {
  TileShape tile;
  std::vector<Partition> partitions;
  int64_t probes = 4;          // random directions; each tells |J d|^2 to a relative sqrt(2)
  int64_t error_tiles = 1;     // behind the sensitivity's errors
  const Plan* plan = nullptr;  // in force while settings are tried; null: dense attention
  uint64_t seed = 0;           // of probes and tiles
};

class OutputEffects {
 public:
  // denoiser, prompts and the plan must outlive the object.
  OutputEffects(const Denoiser& denoiser, const PromptSet& prompts,
                const OutputEffectOptions& options, Impl impl, ThreadPool& pool);

  // Arrays of all layers, of every branch, at the state's step: added to the sites that are there,
  // new ones where there are none.
  void add_to(const TrajectoryState& state, int64_t prompt, std::vector<SiteStatistics>& sites);

 private:
  void add_branch(const TrajectoryState& state, int64_t prompt, Branch branch,
                  std::vector<SiteStatistics>& sites);

  const Denoiser& denoiser_;
  const PromptSet& prompts_;
  OutputEffectOptions options_;
  Impl impl_;
  ThreadPool& pool_;
  EffectHook hook_;
};

// The steps of a prompt at which effects are measured: count of the steps given, spread evenly, and
// shifted from prompt to prompt so that prompts share out all steps. Two experts get shares by
// their numbers of steps, one step each at least; with a count of 1 they take turns by prompt.
// experts: of all steps of the trajectory; empty: a single transformer.
std::vector<int64_t> effect_steps(const std::vector<int64_t>& steps,
                                  const std::vector<int64_t>& experts, int64_t count,
                                  int64_t prompt);

}  // namespace sparsescope
