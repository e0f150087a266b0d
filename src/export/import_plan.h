// Settings files of other engines as plans, so that they can be validated.
#pragma once

#include <filesystem>
#include <string>

#include "plan/plan.h"

namespace sparsescope {

struct ImportRequest {
  std::filesystem::path file;
  // "fastvideo-vmoba", "sglang-vmoba", "svoo", "svoo-log"; or "plan", one of ours, which is carried
  // over to `grid` and `steps` (carry_over.h)
  std::string from;
  // What the file cannot say. 0 where it can (svoo: layers, heads, steps) and nobody else did.
  Plan::Model model;
  TokenGrid grid;
  TileShape tile;
  int64_t steps = 0;
  std::optional<int64_t> low_noise_from_step;  // of two experts
  // Dense below first_full_step and first_full_layer, as the paper and WorldFoundry have it;
  // FastVideo and SGLang run these sparse.
  bool honour_first_full = false;
  std::string command_line;
};

// Error(kUsage) for a missing option or a grid that the settings do not fit, Error(kData) for a
// broken file. What the public code does otherwise than the plan stands in its evidence.
Plan import_plan(const ImportRequest& request);

// Of a checkpoint folder or file, hash included.
Plan::Model describe_plan_model(const std::filesystem::path& checkpoint);

}  // namespace sparsescope
