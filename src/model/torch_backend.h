// Whether LibTorch can compute on a device, for callers that know nothing of LibTorch.
#pragma once

#include <string>

#include "core/device.h"

namespace sparsescope {

// Empty where it can; else the reason.
std::string why_no_torch_device(const Device& device);

}  // namespace sparsescope
