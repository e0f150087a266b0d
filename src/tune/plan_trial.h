// Several plans tried along one dense trajectory of each prompt: what each does to the model's
// output at the same latents, at what density, in what time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/denoiser.h"
#include "plan/plan.h"

namespace sparsescope {

struct PlanTrial {
  std::vector<double> error_of_prompt;     // mean over branches and steps of |y - y'| / |y|
  double error = 0.0;                      // mean over prompts
  double density = 1.0;                    // mean over sites
  double dense_ms = 0.0, sparse_ms = 0.0;  // attention of one forward pass, selection included

  double speedup() const { return dense_ms / sparse_ms; }
};

// prompts: indices of the set; their noise is that of the index. Error(kInterrupted) where the
// monitor asks to stop, between two steps.
std::vector<PlanTrial> try_plans(const Denoiser& denoiser, const PromptSet& set,
                                 std::span<const int64_t> prompts, std::span<const Plan> plans,
                                 Impl impl, ThreadPool& pool, const RunMonitor& monitor);

}  // namespace sparsescope
