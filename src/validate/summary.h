// The summary of a report: means with their intervals over prompts, and median times.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/host_tensor.h"
#include "validate/compare_hook.h"
#include "validate/report.h"
#include "validate/video_quality.h"

namespace sparsescope {

// What was measured on one prompt.
struct PromptOutcome {
  std::vector<SiteResult> sites;
  std::vector<double> output_rel_l2;  // [forwards] of the transformer's output
  std::vector<AttentionTimes> times;  // [forwards]
  double latent_rel_l2 = 0;           // of the free-running video's latents
  VideoQuality latent;
  std::optional<VideoQuality> pixel;  // where the checkpoint has a codec
  // The same latents' error with the plan in each layer (step) alone; empty: not asked for.
  std::vector<double> layer_alone, step_alone;
  // [1, C, F, Hl, Wl] of both videos, where they go into a file; empty in what a part gave.
  HostTensor dense_latents, sparse_latents;
};

std::vector<ClipResult> clips_of(const std::vector<PromptOutcome>& prompts);

// clips: of these prompts.
std::map<std::string, SummaryValue> summarize(const std::vector<PromptOutcome>& prompts,
                                              const std::vector<ClipResult>& clips,
                                              double confidence);
RemovalReport removal_of(const std::vector<PromptOutcome>& prompts, double confidence);

}  // namespace sparsescope
