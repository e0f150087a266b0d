// What a consumer calls the attention module of a layer.
#pragma once

#include <string>

#include "export/export_format.h"

namespace sparsescope {

// --module with {layer} filled in, else the name in the family's own modules: wan, given as
// "blocks.{layer}.attn1". Error(kUsage) for other families without --module.
std::string layer_module(const ExportInput& input, const std::string& wan_module, int64_t layer,
                         const std::string& format);

}  // namespace sparsescope
