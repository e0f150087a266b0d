// A number of a model with its interval over prompts: prompts are the independent unit, the sites
// of one prompt are not.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "stats/intervals.h"

namespace sparsescope {

inline constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();
inline constexpr Interval kUnbounded{-std::numeric_limits<double>::infinity(),
                                     std::numeric_limits<double>::infinity()};
inline constexpr Interval kShareBounds{0, 1};  // where intervals of shares and masses end
inline constexpr Interval kPositive{0, std::numeric_limits<double>::infinity()};

struct Measured {
  double value = kNotKnown;
  std::optional<Interval> interval;  // none with fewer than two prompts
  int64_t prompts = 0;               // behind the value
  bool known() const { return !std::isnan(value); }
};

// The mean of one value a prompt, with Student's t; NaN stands for a prompt without one. Interval
// ends are moved into bounds.
Measured over_prompts(std::span<const double> by_prompt, double confidence,
                      const Interval& bounds = kUnbounded);

// Any statistic of several prompts. value_without(i): that of all of them but number i, -1 leaves
// none out; NaN where it is not defined. The interval is the jackknife's; none where a part of the
// prompts does not define the statistic.
Measured over_prompts(int64_t prompts, double confidence, const Interval& bounds,
                      const std::function<double(int64_t)>& value_without);

// (value - chance) / (1 - chance) of a share: 0 at chance, 1 at its most. Not known at chance 1.
Measured above_chance(const Measured& share, double chance);

// Means and quantiles of numbers of which some are not known; NaN where none is.
double known_mean(std::span<const double> values);
double known_deviation(std::span<const double> values);           // of two or more; else NaN
double known_quantile(std::span<const double> values, double p);  // linear between neighbours

}  // namespace sparsescope
