// What the samplers share: the shift of a noise level, evenly spaced grids, and the check before a
// step.
#pragma once

#include <cstdint>

#include "core/error.h"
#include "core/tensor_view.h"
#include "model/scheduler.h"

namespace sparsescope {

// S*s / (1 + (S-1)*s)
inline double shift_sigma(double shift, double sigma) {
  return shift * sigma / (1.0 + (shift - 1.0) * sigma);
}

// Point i of count evenly spaced ones, both ends included, rounded as numpy.linspace rounds (the
// truncated timesteps depend on it).
inline double linspace(double first, double last, int64_t count, int64_t i) {
  if (count == 1) return first;
  if (i == count - 1) return last;
  return static_cast<double>(i) * ((last - first) / static_cast<double>(count - 1)) + first;
}

inline double round_to_f32(double value) { return static_cast<double>(static_cast<float>(value)); }

// The step to take; Error(kUsage) past the end of the trajectory or for an output of another shape.
inline int64_t checked_step(const Scheduler& scheduler, const TrajectoryState& state,
                            const HostTensor& output) {
  const auto steps = static_cast<int64_t>(scheduler.timesteps().size());
  SPARSESCOPE_CHECK(ErrorKind::kUsage, state.next_step >= 0 && state.next_step < steps,
                    "trajectory: expected a step below {}, found {}", steps, state.next_step);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, output.shape == state.latents.shape,
                    "model output: expected {} (the latents' shape), found {}",
                    shape_to_string(state.latents.shape), shape_to_string(output.shape));
  return state.next_step;
}

}  // namespace sparsescope
