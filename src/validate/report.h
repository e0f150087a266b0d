// The validation report: what a plan did on prompts that it was not made from. JSON, version 1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json_io.h"
#include "plan/sampling_record.h"
#include "validate/requirements.h"

namespace sparsescope {

// One head of one attention call on the dense trajectory.
struct SiteResult {
  int64_t prompt = 0, branch = 0, step = 0, layer = 0, head = 0;
  double density = 1, recall = 1;
  double rel_l1 = 0, rel_l2 = 0, cosine = 1;
};

// One prompt: means over its sites and forwards, and its free-running video against the dense one.
struct ClipResult {
  double density = 1, recall = 1, rel_l2 = 0;  // means over sites
  double output_rel_l2 = 0;                    // mean over forwards
  double latent_rel_l2 = 0;                    // of the final latents
  double psnr_latent = 0, ssim_latent = 1;
  std::optional<double> psnr_pixel, ssim_pixel;  // where the checkpoint has a codec
  double speedup = 0;                            // of attention, medians over forwards
};

struct SummaryValue {
  double value = 0;
  // Means over prompts have an interval at confidence 0.95; with one prompt it is unknown.
  bool has_interval = false;
  std::optional<double> low, high;
};

// The plan in one layer (or step) alone, and dense attention everywhere else.
struct RemovalResult {
  int64_t index = 0;           // of the layer or step
  double density = 1;          // of its sites, mean
  SummaryValue latent_rel_l2;  // of the free-running result, mean over prompts
  std::vector<double> of_prompt;
};

struct RemovalReport {
  std::vector<RemovalResult> layers, steps;  // empty: not asked for
  bool empty() const { return layers.empty() && steps.empty(); }
};

struct RequirementResult {
  Requirement requirement;
  double value = 0;
  bool holds = false;
};

struct ValidationReport {
  std::string plan_hash, checkpoint_hash;
  std::vector<std::string> prompts;
  std::optional<SamplingRecord> sampling;  // of both trajectories
  std::vector<ClipResult> clips;           // of each prompt; older reports have none
  RemovalReport removal;
  std::vector<SiteResult> sites;
  std::map<std::string, SummaryValue> summary;  // by summary_names(); pixels only with a codec
  std::vector<RequirementResult> requirements;

  bool holds() const;  // every requirement
};

// Every name must be in the summary.
std::vector<RequirementResult> judge(const std::vector<Requirement>& requirements,
                                     const std::map<std::string, SummaryValue>& summary);

Json summary_to_json(const ValidationReport& report);
Json report_to_json(const ValidationReport& report);
// Error(kData) names the place (JSON pointer), what was expected and what was found; an unknown
// version is Error(kUnsupported).
ValidationReport report_from_json(const Json& json, const std::string& what);
ValidationReport read_report(const std::filesystem::path& path);
std::string report_text(const ValidationReport& report);  // what the file holds
void write_report(const std::filesystem::path& path, const ValidationReport& report, bool replace);

}  // namespace sparsescope
