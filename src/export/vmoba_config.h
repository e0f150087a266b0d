// The 14 settings of the public VMoBA JSON (FastVideo, SGLang), with the keys, defaults and order
// of the shipped files. Sizes are in latent patch tokens, axis order T, H, W.
#pragma once

#include "plan/json_place.h"
#include "plan/plan.h"
#include "plan/vmoba_schedule.h"

namespace sparsescope {

struct VmobaConfig {
  double temporal_chunk = 1;  // frames of a 1D block; the public code takes fractions, too
  TileShape spatial_chunk{0, 1, 1};
  TileShape st_chunk{1, 1, 1};
  int64_t temporal_topk = 1, spatial_topk = 1, st_topk = 1;  // own block included; dead with tau
  VmobaSelect select = VmobaSelect::kThreshold;
  double threshold = 0.25;                 // tau; dead with topk
  VmobaPool pool = VmobaPool::kQueryHead;  // "moba_threshold_type", for both selections
  int64_t first_full_step = 12;            // FastVideo and SGLang never read it
  VmobaSchedule schedule;                  // its first_full_layer only shifts the phase

  // Error(kUnsupported) for a fraction of a frame.
  Partition partition(PartitionKind kind) const;
  int64_t topk(PartitionKind kind) const;
  // What a layer does on the grid. Error(kUsage) names an axis that a partition does not divide;
  // a top-k beyond the blocks is clamped to them, as the public code does.
  VmobaParams params(int64_t layer, const TokenGrid& grid) const;
};

Json vmoba_config_to_json(const VmobaConfig& config);
// Takes the three forms in use: keys at the top level (FastVideo), under "moba_config" (SGLang), or
// both, which then must agree. Unknown keys, wrong types and values out of range are Error(kData).
VmobaConfig parse_vmoba_config(const Json& json, const std::string& what);

}  // namespace sparsescope
