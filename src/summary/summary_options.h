// What all findings of a summary share.
#pragma once

#include <string>
#include <vector>

namespace sparsescope {

struct SummaryOptions {
  double confidence = 0.95;  // of the intervals by prompts
  // Share of the query-key pairs (of tiles, of blocks, kappa) at which heads are classed, sets
  // compared and recall held against error.
  double budget = 0.25;
};

}  // namespace sparsescope
