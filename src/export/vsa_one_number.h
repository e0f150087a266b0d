// What the VSA formats share that hold one number for all layers, heads and steps.
#pragma once

#include <string>

#include "export/export_format.h"

namespace sparsescope {

// Error(kUsage) where the plan's tile is another.
void check_tile(const Plan& plan, const TileShape& expected, const std::string& format);
int64_t plan_tiles(const Plan& plan);  // N, partial ones included
// "top-k 63 of 624 tiles: sparsity 0.8990 of padded slots, 0.8769 of real tokens"
std::string kept_text(const Plan& plan, int64_t kept);
// The largest top-k of all sites, dense ones with all N tiles; what is lost goes to the draft's
// changes, what is left to its remarks. Error(kUsage) for other methods.
int64_t one_top_k(const Plan& plan, const std::string& format, ExportDraft& draft);

// The frames, height and width of --video against the plan's grid: whole multiples of it, as every
// codec and patch make them. Error(kUsage).
void check_video(const std::vector<int64_t>& video, const TokenGrid& grid);

}  // namespace sparsescope
