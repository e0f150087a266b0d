// Trials of plans as JSON: files of a tuning run, and the table of a plan's evidence.
#pragma once

#include <filesystem>
#include <vector>

#include "core/json_io.h"
#include "tune/tune.h"

namespace sparsescope {

Json trial_to_json(const PlanTrial& trial);
// Error(kData) where a key is missing or no number.
PlanTrial read_trial(const std::filesystem::path& path);
void write_trial(const std::filesystem::path& path, const PlanTrial& trial);
Json tried_to_json(const std::vector<TunedPlan>& tried);

}  // namespace sparsescope
