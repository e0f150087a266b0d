// Single-file checkpoints wrap a model's names in prefixes and may hold other models besides.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/state_dict.h"

namespace sparsescope {

// Drops the tensors of other models (autoencoders, text encoders) and strips every known prefix
// that all remaining names carry. Returns remarks on what was dropped.
std::vector<std::string> normalise_prefixes(StateDict& weights);

}  // namespace sparsescope
