// What a plan does to the prompts of a profile, by the profile's own curves.
#pragma once

#include <vector>

#include "derive/method_curves.h"

namespace sparsescope {

// Density and recall of each recorded prompt: means over its recorded sites, dense ones as 1. The
// profile need not be the plan's own. Error(kData) where it is of another grid, tile, number of
// steps, layers or heads, or did not measure the plan's method or one of its partitions.
std::vector<OperatingPoint> plan_points(const Profile& profile, const Plan& plan);

}  // namespace sparsescope
