// Which partition each layer of a VMoBA model takes, as the public frameworks do:
//   phase = (layer - first_full_layer) mod (temporal + spatial + st)
// 1D for the first temporal_layers phases, then 2D, then 3D. Layers below first_full_layer are as
// sparse as the others; there it only shifts the phase.
#pragma once

#include <cstdint>

#include "core/token_grid.h"

namespace sparsescope {

struct VmobaSchedule {
  int64_t temporal_layers = 1;  // of each cycle
  int64_t spatial_layers = 1;
  int64_t st_layers = 1;
  int64_t first_full_layer = 0;
};

// Error(kUsage) for a negative count, or no layers in a cycle.
PartitionKind partition_kind(const VmobaSchedule& schedule, int64_t layer);

}  // namespace sparsescope
