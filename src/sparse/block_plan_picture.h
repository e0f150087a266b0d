// A block plan as one SVG: a panel a head, query blocks downwards, key blocks to the right, darker
// where more of the pairs are computed. Large plans are pooled, so that a panel stays readable.
#pragma once

#include <filesystem>
#include <string>

#include "sparse/block_plan.h"

namespace sparsescope {

std::string block_plan_svg(const BlockPlan& plan);
void write_block_plan_picture(const std::filesystem::path& path, const BlockPlan& plan,
                              bool replace);

}  // namespace sparsescope
