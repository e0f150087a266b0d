// The optional parts of a report as JSON: what each prompt gave, and what the plan does in one
// layer or step alone. Readers: Error(kData) names the place.
#pragma once

#include <vector>

#include "plan/json_place.h"
#include "validate/report.h"

namespace sparsescope {

Json clips_to_json(const std::vector<ClipResult>& clips);
std::vector<ClipResult> read_clips(const JsonPlace& place, size_t prompts);

Json removal_to_json(const RemovalReport& removal);
RemovalReport read_removal(const JsonPlace& place, size_t prompts);

}  // namespace sparsescope
