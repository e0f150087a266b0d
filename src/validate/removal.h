// Which layers (steps) can go sparse: the plan in one of them alone, everything else dense.
#pragma once

#include <string>

#include "plan/plan.h"

namespace sparsescope {

struct RemovalUnits {
  bool layers = false, steps = false;
};

// "layers", "steps", "layers,steps", or nothing. Error(kUsage).
RemovalUnits parse_removal(const std::string& text);
std::string to_string(const RemovalUnits& units);  // as parsed; "" for none

// The plan's rules in that layer (step), and no others.
Plan in_layer_alone(const Plan& plan, int64_t layer);
Plan in_step_alone(const Plan& plan, int64_t step);

}  // namespace sparsescope
