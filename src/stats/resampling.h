// Intervals of any statistic of a few independent units (prompts), where no formula is at hand:
// the statistic is computed again on other sets of units. Nothing is assumed of its form.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "stats/intervals.h"

namespace sparsescope {

struct Estimate {
  double value = 0;  // of all units
  double standard_error = 0;
  Interval interval;
};

// The mean of the squared deviations of leave-one-out values from their mean, times n - 1: the
// jackknife's estimate of the variance of the statistic over units. without [n >= 2].
double jackknife_variance(std::span<const double> without);

// value_without(i): the statistic of all units but unit i; -1 leaves none out. The interval is
// value +- t(n - 1) * sqrt(jackknife variance). For a mean this is mean_interval. n >= 2.
Estimate jackknife(int64_t units, double confidence,
                   const std::function<double(int64_t)>& value_without);

// value_of(drawn): the statistic of the units drawn, with repetitions, [units]. The interval holds
// the middle of the values of all draws (percentile method). Draw r takes its units by
// uniform(seed, r * units + i): one seed gives one interval, on any machine and thread count.
struct Bootstrap {
  int64_t draws = 2000;
  uint64_t seed = 0;
  double confidence = 0.95;
};
Estimate bootstrap(int64_t units, const Bootstrap& options,
                   const std::function<double(std::span<const int64_t>)>& value_of);

}  // namespace sparsescope
