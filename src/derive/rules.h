// Units and their settings as the rules of a plan, neighbours of one setting joined.
#pragma once

#include <vector>

#include "derive/allocation.h"

namespace sparsescope {

// Units without a setting get no rule: they run dense.
std::vector<PlanRule> make_rules(const UnitGrid& grid, const Allocation& allocation);
// Rules of disjoint sites, ordered by layer, then head, then step; those of a second expert follow
// those of the first.
std::vector<PlanRule> join_rules(std::vector<PlanRule> rules);

}  // namespace sparsescope
