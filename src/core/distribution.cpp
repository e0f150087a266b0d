#include "core/distribution.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {

double quantile_of_sorted(std::span<const double> sorted, double p) {
  const double place = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

Distribution distribution_of(std::vector<double> samples) {
  SPARSESCOPE_CHECK(ErrorKind::kInternal, !samples.empty(), "timings: expected at least one");
  std::sort(samples.begin(), samples.end());
  return {.median = quantile_of_sorted(samples, 0.5),
          .min = samples.front(),
          .max = samples.back(),
          .p25 = quantile_of_sorted(samples, 0.25),
          .p75 = quantile_of_sorted(samples, 0.75)};
}

Json milliseconds_json(const Distribution& seconds) {
  return {{"median_ms", seconds.median * 1e3}, {"min_ms", seconds.min * 1e3},
          {"max_ms", seconds.max * 1e3},       {"p25_ms", seconds.p25 * 1e3},
          {"p75_ms", seconds.p75 * 1e3},       {"spread", seconds.spread()}};
}

}  // namespace sparsescope
