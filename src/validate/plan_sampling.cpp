#include "validate/plan_sampling.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/plan_evidence.h"
#include "stats/profile_manifest.h"

namespace sparsescope {
namespace {

template <typename T>
void note_difference(const RunMonitor& monitor, const char* option, const T& chosen,
                     const T& profiled) {
  if (chosen == profiled) return;
  report_note(monitor, fmt::format("{} {}: the plan was measured with {}; it is judged on other "
                                   "trajectories",
                                   option, chosen, profiled));
}

bool contains(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

}  // namespace

SamplingRequest sampled_like_profile(SamplingRequest request, const Plan& plan,
                                     const RunMonitor& monitor) {
  if (request.video.empty() && request.grid.empty() && request.latents.empty()) {
    request.grid = {plan.grid.t, plan.grid.h, plan.grid.w};
  }
  if (!request.steps) request.steps = plan.num_steps;
  const std::optional<SamplingRecord> profiled = profile_evidence(plan).sampling;
  if (!profiled) {
    report_note(monitor,
                "the plan does not say how its profile was sampled: guidance, scheduler and shift "
                "are the options' or the checkpoint's own");
    return request;
  }
  if (!request.guidance) request.guidance = profiled->guidance;
  // Without guidance there is no second one either.
  if (!request.guidance_2 && *request.guidance > 1.0) request.guidance_2 = profiled->guidance_2;
  if (request.scheduler.empty()) request.scheduler = profiled->scheduler;
  if (!request.shift) request.shift = profiled->shift;
  // 1 and less all run the conditional branch alone.
  note_difference(monitor, "--guidance", std::max(1.0, *request.guidance), profiled->guidance);
  if (request.guidance_2 && profiled->guidance_2) {
    note_difference(monitor, "--guidance-2", *request.guidance_2, *profiled->guidance_2);
  }
  note_difference(monitor, "--scheduler", request.scheduler, profiled->scheduler);
  note_difference(monitor, "--shift", *request.shift, profiled->shift);
  return request;
}

std::vector<std::string> seen_prompts(const Plan& plan, const PromptSet& prompts) {
  const ProfileEvidence profile = profile_evidence(plan);
  const std::vector<std::string> hashes = prompt_hashes(prompts);
  std::vector<std::string> seen;
  for (size_t i = 0; i < prompts.names.size(); ++i) {
    // Names of embeddings say nothing; a profile without hashes has only its texts.
    const bool found = profile.prompt_hashes.empty() ? contains(profile.prompts, prompts.names[i])
                                                     : contains(profile.prompt_hashes, hashes[i]);
    if (found) seen.push_back(prompts.names[i]);
  }
  return seen;
}

}  // namespace sparsescope
