// Repeated timings as the few numbers that a report shows. Quantiles interpolate between order
// statistics: quantile p of n sorted values stands at position p * (n - 1).
#pragma once

#include <span>
#include <vector>

#include "core/json_io.h"

namespace sparsescope {

struct Distribution {
  double median = 0, min = 0, max = 0;
  double p25 = 0, p75 = 0;

  double spread() const { return median > 0 ? (p75 - p25) / median : 0; }
};

// "median_ms", "min_ms", "max_ms", "p25_ms", "p75_ms", "spread" of seconds.
Json milliseconds_json(const Distribution& seconds);

// sorted: ascending, not empty. p in [0, 1].
double quantile_of_sorted(std::span<const double> sorted, double p);

// At least one sample, else Error(kInternal).
Distribution distribution_of(std::vector<double> samples);

}  // namespace sparsescope
