// From a checkpoint to a plan that holds: profile, derive, measure again around the plan, repair
// until prompts that the derivation has not seen meet the target, and a verdict on prompts that
// nothing has seen.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "derive/derive.h"
#include "stats/parts_folder.h"
#include "stats/sampling_request.h"
#include "tune/plan_trial.h"
#include "validate/report.h"

namespace sparsescope {

struct TuneRequest {
  SamplingRequest sampling;                       // prompts to derive from and to check on
  std::filesystem::path heldout, heldout_embeds;  // prompts of the verdict; neither: split off
  Method method = Method::kVsa;
  DeriveTarget target{TargetKind::kError, 0.1};  // an error, a density or a speed-up
  Granularity per = Granularity::kHeadStep;
  TileShape tile;
  std::string partitions = "auto";  // VMoBA's
  int64_t derive_prompts = 6, check_prompts = 6;
  int64_t sensitivity = 2;  // steps a prompt at which effects are measured
  int64_t rounds = 5;       // plans tried at most
  double confidence = 0.95;
  std::optional<KernelCosts> costs;  // see DeriveOptions; a speed-up needs them
  bool measure_costs = false;        // or measure them on the model at hand,
  Json machine = Json::object();     // which is this one
  OutputOptions out;  // the plan; beside it stand its profile, measured costs and the report
  int threads = 1;
  std::string command_line;
};

// A plan that was tried on the check prompts.
struct TunedPlan {
  std::string name;       // "plan_0"
  std::string how;        // "effects around dense attention, error=0.1"
  double foretold = 0.0;  // error
  std::optional<double> speedup_foretold;
  PlanTrial trial;
};

struct TuneResult {
  std::vector<TunedPlan> tried;
  size_t chosen = 0;
  Plan plan;                // with the error of the check prompts as expected
  ValidationReport report;  // on the held-out prompts
  bool holds = false;       // the target, as measured on the held-out prompts
  bool inside = false;      // their error lies in the plan's interval
};

// "plan.json" -> "plan.report.json", ... in the same folder.
std::filesystem::path beside(const std::filesystem::path& out, const std::string& ending);

// Finished profiles and trials stand in OUT.parts: the same request goes on from there.
// Error(kUsage) for a target of recall, a speed-up without costs, or a folder of another request.
TuneResult tune(const TuneRequest& request, const RunMonitor& monitor);

}  // namespace sparsescope
