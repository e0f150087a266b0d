// The public schedule knows one cycle of 1D, 2D and 3D layers: does a plan's list of layers follow
// one, and which?
#pragma once

#include <optional>
#include <vector>

#include "plan/vmoba_schedule.h"

namespace sparsescope {

// The shortest cycle, with the least shift first_full_layer, that gives every layer its kind; empty
// where there is none. Layers without a kind (dense ones) take any.
std::optional<VmobaSchedule> find_vmoba_cycle(
    const std::vector<std::optional<PartitionKind>>& kinds);

}  // namespace sparsescope
