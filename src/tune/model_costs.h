// Kernel costs of the model that is tuned: measured on the attention call of its middle layer at
// the first step of the first prompt, where it stands in memory.
#pragma once

#include "tune/tune_session.h"

namespace sparsescope {

// Of the request's method; where they are measured is the request's machine.
KernelCosts measure_model_costs(TuneSession& session);

}  // namespace sparsescope
