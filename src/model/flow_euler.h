// Flow-match Euler on the grid that diffusers' FlowMatchEulerDiscreteScheduler makes when a
// pipeline gives no sigmas: sigma_min is shifted already, and then the whole grid is shifted again.
#pragma once

#include <memory>

#include "model/scheduler.h"

namespace sparsescope {

std::unique_ptr<Scheduler> make_flow_euler(int64_t steps, double shift, int64_t train_timesteps);

}  // namespace sparsescope
