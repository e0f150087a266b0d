// BSA's cut-off in standard deviations: the z that a normal variable exceeds with probability
// kappa.
#pragma once

#include <cmath>
#include <limits>

namespace sparsescope {

// Phi^-1(1 - kappa); -infinity for kappa >= 1. kappa > 0. Bisection on erfc, to the last bits.
inline double gaussian_cut(double kappa) {
  if (kappa >= 1.0) return -std::numeric_limits<double>::infinity();
  double low = -40.0, high = 40.0;
  for (int i = 0; i < 80; ++i) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(middle / std::sqrt(2.0)) > kappa ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

// The smallest float that is not below value, so that x >= value and x >= result agree for floats
// x.
inline float float_not_below(double value) {
  const auto nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) >= value) return nearest;
  return std::nextafter(nearest, std::numeric_limits<float>::infinity());
}

}  // namespace sparsescope
