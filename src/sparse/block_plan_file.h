// Block plans as safetensors: int32 tensors under the names of BlockLists' fields,
//   key_order [S]   ranges [R, 2] first, count     rows [..]   range_ids [..]
//   items [.., 4] first_row, num_rows, first_range, num_ranges
//   strands [.., 5] batch, head, first_item, num_items, merges
//   restore_from [B, H, S_video] of BSA
// and metadata: format "sparsescope-block-plan", version "1", and the call as JSON under "plan".
#pragma once

#include <filesystem>

#include "sparse/block_plan.h"

namespace sparsescope {

void write_block_plan(const std::filesystem::path& path, const BlockPlan& plan, bool replace);

// A plan that every kernel can run on any inputs of its shape: each index lies in its range, each
// row is written by one strand or restored from such a row, and no row meets a key twice.
// Error(kData) names file, tensor and place, what was expected and what was found.
BlockPlan read_block_plan(const std::filesystem::path& path);

// The same checks on a plan in memory; what names it in messages.
void check_block_plan(const BlockPlan& plan, const std::string& what);

}  // namespace sparsescope
