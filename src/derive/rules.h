// Units and their settings as the rules of a plan, neighbours of one setting joined.
#pragma once

#include <vector>

#include "derive/allocation.h"

namespace sparsescope {

// Units without a setting get no rule: they run dense.
std::vector<PlanRule> make_rules(const UnitGrid& grid, const Allocation& allocation);

}  // namespace sparsescope
