// Effects of one call as the named arrays of the profile.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "capture/site_statistics.h"
#include "core/token_grid.h"
#include "effects/selection_effects.h"

namespace sparsescope {

// Relative L2 errors of the head's output: error_pooled [f], bsa_error and bsa_error_unpruned
// [kappa], and of each partition error_topk [k], error_tau [pool, tau]. The calls must have had
// error tiles.
std::vector<StatArray> error_arrays(std::span<const HeadEffects> heads,
                                    std::span<const Partition> partitions);

// What the directions of a pull-back stood for. With y the dense output, y' that of the plan in
// force and J the derivative of the output by a head's output, a setting that moves the head by d
// changes the squared relative error of the model's output by
//   ( 2 <y' - y, J d> + |J d|^2 ) / |y|^2,      E <probe, J d>^2 = |J d|^2 for standard normal
//   probes
struct OutputDirections {
  int64_t probes = 0;         // the first directions: standard normal
  bool has_residual = false;  // the last one: y' - y
  double output_norm = 0.0;   // |y|
  double loss = 0.0;          // |y' - y|^2 / |y|^2
};

// effect_pooled [f], bsa_effect and bsa_effect_unpruned [kappa], effect_topk, effect_tau: that
// change. output_loss []: the loss. sensitivity []: without a plan in force, the root of summed
// effects over summed squared errors of the settings of effect_pooled and error_pooled below f = 1.
std::vector<StatArray> effect_arrays(std::span<const HeadEffects> heads,
                                     std::span<const Partition> partitions,
                                     const OutputDirections& directions);

}  // namespace sparsescope
