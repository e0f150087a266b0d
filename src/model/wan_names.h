// Wan-AI tensor names (also those of ComfyUI) to diffusers names, by anchored rules on whole name
// components: Wan's norm3 is diffusers' norm2, so replacing substrings in turn would go wrong.
#pragma once

#include <string>

namespace sparsescope {

// A name that no rule matches comes back as it is.
std::string wan_diffusers_name(const std::string& original);

}  // namespace sparsescope
