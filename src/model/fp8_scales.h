// Quantised checkpoints: which scales belong to a weight, and which formats are refused.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/state_dict.h"

namespace sparsescope {

// The factor of a stored weight (X.scale_weight or X.weight_scale beside X.weight), nullopt where
// it has none; an empty scale means 1. Marks the scale as used. Error(kUnsupported) for a scale
// that is not one number.
std::optional<float> weight_scale(const StateDict& weights, const std::string& weight_name);

// Marks markers and activation hints as used and reads format descriptors; Error(kUnsupported) for
// formats other than float8_e4m3fn. Returns remarks for the load report.
std::vector<std::string> review_quantisation(const StateDict& weights);

}  // namespace sparsescope
