// A plan is judged on trajectories that are sampled like those it was measured on, and on prompts
// that it has not seen.
#pragma once

#include <string>
#include <vector>

#include "core/progress.h"
#include "plan/plan.h"
#include "stats/sampling_request.h"

namespace sparsescope {

// The request with what it leaves open (size, steps, guidance, scheduler, shift) taken from the
// plan. What it says holds; a note names each choice that differs from the plan's profile.
SamplingRequest sampled_like_profile(SamplingRequest request, const Plan& plan,
                                     const RunMonitor& monitor);

// Those of the prompts that the plan's profile was measured on.
std::vector<std::string> seen_prompts(const Plan& plan, const PromptSet& prompts);

}  // namespace sparsescope
