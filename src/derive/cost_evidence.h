// What a plan's evidence says of its cost, under "cost": operations counted from shapes ("flops"),
// and the time of attention predicted from measured kernel costs ("time", null without them).
#pragma once

#include "derive/expectation.h"
#include "derive/plan_assembly.h"

namespace sparsescope {

// costs may be null.
Json cost_evidence(const Plan& plan, const PlanParts& parts, const Expectation& expected,
                   const KernelCosts* costs);

}  // namespace sparsescope
