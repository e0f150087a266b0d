#include "tune/trial_json.h"

#include "core/atomic_file.h"
#include "plan/json_place.h"

namespace sparsescope {
namespace {

constexpr double kLargest = 1e12;

}  // namespace

Json trial_to_json(const PlanTrial& trial) {
  return {{"error", trial.error},
          {"error_of_prompt", trial.error_of_prompt},
          {"density", trial.density},
          {"dense_ms", trial.dense_ms},
          {"sparse_ms", trial.sparse_ms}};
}

PlanTrial read_trial(const std::filesystem::path& path) {
  const Json json = read_json_file(path);
  const JsonPlace place(json, path.string());
  PlanTrial trial;
  for (const JsonPlace& error : place.at("error_of_prompt").items()) {
    trial.error_of_prompt.push_back(error.number(0, kLargest));
  }
  trial.error = place.at("error").number(0, kLargest);
  trial.density = place.at("density").number(0, 1);
  trial.dense_ms = place.at("dense_ms").number(0, kLargest);
  trial.sparse_ms = place.at("sparse_ms").number(0, kLargest);
  return trial;
}

void write_trial(const std::filesystem::path& path, const PlanTrial& trial) {
  write_text_atomically(path, trial_to_json(trial).dump(2) + "\n", true);
}

Json tried_to_json(const std::vector<TunedPlan>& tried) {
  Json table = Json::array();
  for (const TunedPlan& plan : tried) {
    Json row = {{"plan", plan.name}, {"how", plan.how}, {"error_foretold", plan.foretold}};
    row.update(trial_to_json(plan.trial));
    row["speedup"] = plan.trial.speedup();
    if (plan.speedup_foretold) row["speedup_foretold"] = *plan.speedup_foretold;
    table.push_back(row);
  }
  return table;
}

}  // namespace sparsescope
