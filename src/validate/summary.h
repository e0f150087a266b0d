// The summary of a report: means with their intervals over prompts, and median times.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "validate/compare_hook.h"
#include "validate/report.h"
#include "validate/video_quality.h"

namespace sparsescope {

// What was measured on one prompt.
struct PromptOutcome {
  std::vector<SiteResult> sites;
  std::vector<double> output_rel_l2;  // [forwards] of the transformer's output
  std::vector<AttentionTimes> times;  // [forwards]
  VideoQuality latent;
  std::optional<VideoQuality> pixel;  // where the checkpoint has a codec
};

std::map<std::string, SummaryValue> summarize(const std::vector<PromptOutcome>& prompts,
                                              double confidence);

}  // namespace sparsescope
