// UniPC of order 2 (bh2, predicting x0) for flow models, as diffusers' UniPCMultistepScheduler with
// use_flow_sigmas runs it.
#pragma once

#include <memory>

#include "model/scheduler.h"

namespace sparsescope {

std::unique_ptr<Scheduler> make_unipc(int64_t steps, double shift, int64_t train_timesteps);

}  // namespace sparsescope
