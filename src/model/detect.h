// From a checkpoint's tensors to what it is: family, names in the diffusers spelling, architecture.
#pragma once

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/state_dict.h"
#include "model/video_transformer.h"
#include "model/wan_config.h"

namespace sparsescope {

struct DetectedModel {
  StateDict weights;  // under diffusers names; all tensors checked, none read
  WanConfig config;
  ModelInfo info;  // without checkpoint_hash
};

// Error(kUnsupported) for other families, listing the supported ones; Error(kData) for tensors that
// are missing, misshapen or unknown.
DetectedModel detect_model(const CheckpointFolder& folder, StateDict weights);

}  // namespace sparsescope
