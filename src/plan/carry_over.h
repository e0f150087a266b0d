// A plan carried over to another grid or another number of steps: what a setting is a share of
// stays the same share.
//
//   steps   step i of N' takes the settings of the step at the same part of the run,
//           floor((i + 1/2) N / N'): the noise levels of a schedule hang on i / N alone. Of two
//           experts each keeps its settings: i, N and N' then count the steps of one of them
//   VSA     K of N tiles becomes the nearest count of the new tiles, at least 1
//   BSA     as it stands: kappa and the kept queries are shares already
//   VMoBA   the partition of the same kind that fits the new grid and cuts each axis into as many
//           blocks as before, or the nearest number by ratio; of several such extents the one
//           nearest to the same share of the axis. k of M blocks becomes the nearest count
#pragma once

#include "plan/plan.h"

namespace sparsescope {

// Tiles keep their shape. The result foretells nothing (its recall and error are unknown on the new
// grid); its evidence keeps the old one's, and says under "carried_over" what was expected there.
// low_noise_from_step: where the second of two experts begins in the new run; not given: at the
// same part of it, which may be one step off. Error(kUsage) for no steps, or one that is none of
// them. The same grid and steps: the same settings.
Plan carry_over(const Plan& plan, const TokenGrid& grid, int64_t steps,
                std::optional<int64_t> low_noise_from_step = std::nullopt);

// The VMoBA rule above.
Partition carry_over(const Partition& partition, const TokenGrid& from, const TokenGrid& to);

}  // namespace sparsescope
