// What a number of heads varies with: how much one head's value moves along one axis alone, and how
// the variance of all values splits into parts.
#pragma once

#include <optional>

#include "stats/profile.h"
#include "summary/site_numbers.h"

namespace sparsescope {

// Standard deviation along one axis with all else fixed: the root of the mean variance. NaN where
// an axis has no two values.
struct Spreads {
  double prompts = kNotKnown, branches = kNotKnown, steps = kNotKnown;
  double heads = kNotKnown;   // of a layer
  double layers = kNotKnown;  // of their means over heads
};

// Shares of the variance over all (prompt, branch, step, layer, head); they sum to 1.
struct VarianceShares {
  double deviation = 0;   // standard deviation of all values
  double layers = 0;      // means of layers
  double heads = 0;       // means of heads, around their layer's
  double steps = 0;       // means of steps
  double head_steps = 0;  // steps of one head, beyond the two
  double branches = 0;    // means of branches
  double prompts = 0;     // means of prompts
  double rest = 0;        // everything else: what prompts and branches do to single heads
};

Spreads spreads_of(const Profile& profile, const SiteNumbers& numbers);

// Nothing where some recorded prompt lacks a value that another has, or values are equal: parts
// would not add up.
std::optional<VarianceShares> variance_shares(const Profile& profile, const SiteNumbers& numbers);

}  // namespace sparsescope
