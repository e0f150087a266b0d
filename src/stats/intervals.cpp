#include "stats/intervals.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace sparsescope {
namespace {

// Continued fraction of the incomplete beta function I_x(a, b), by Lentz's method; it converges
// fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr int kMaxTerms = 300;
  constexpr double kTiny = 1e-300;
  double c = 1.0;
  double d = 1.0 - (a + b) * x / (a + 1.0);
  d = 1.0 / (std::abs(d) < kTiny ? kTiny : d);
  double result = d;
  const auto apply = [&](double coefficient) {
    d = 1.0 + coefficient * d;
    d = 1.0 / (std::abs(d) < kTiny ? kTiny : d);
    c = 1.0 + coefficient / c;
    if (std::abs(c) < kTiny) c = kTiny;
    result *= c * d;
    return std::abs(c * d - 1.0);
  };
  for (int m = 1; m <= kMaxTerms; ++m) {
    apply(m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)));
    const double change = apply(-(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)));
    if (change < std::numeric_limits<double>::epsilon()) break;
  }
  return result;
}

double incomplete_beta(double a, double b, double x) {
  if (x <= 0.0) return 0.0;
  if (x >= 1.0) return 1.0;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1.0) / (a + b + 2.0)) return front * beta_fraction(a, b, x) / a;
  return 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

// P(T > t) for t >= 0
double upper_tail(double t, double degrees) {
  return 0.5 * incomplete_beta(0.5 * degrees, 0.5, degrees / (degrees + t * t));
}

Interval around_mean(std::span<const double> values, double confidence, double variance_factor) {
  SPARSESCOPE_ASSERT(values.size() >= 2);
  const double mean = mean_of(values);
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const auto degrees = static_cast<int>(values.size()) - 1;
  const double deviation = std::sqrt(squares / degrees);
  const double half = student_t_quantile(0.5 * (1.0 + confidence), degrees) * deviation *
                      std::sqrt(variance_factor);
  return {mean - half, mean + half};
}

}  // namespace

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double student_t_quantile(double p, int degrees_of_freedom) {
  SPARSESCOPE_ASSERT(p > 0.0 && p < 1.0 && degrees_of_freedom >= 1);
  if (p < 0.5) return -student_t_quantile(1.0 - p, degrees_of_freedom);
  double low = 0.0;
  double high = 1.0;
  while (upper_tail(high, degrees_of_freedom) > 1.0 - p) high *= 2.0;
  constexpr int kHalvings = 200;  // more than a double can resolve
  for (int i = 0; i < kHalvings && low < high; ++i) {
    const double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    (upper_tail(middle, degrees_of_freedom) > 1.0 - p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

Interval prediction_interval(std::span<const double> values, double confidence) {
  return around_mean(values, confidence, 1.0 + 1.0 / static_cast<double>(values.size()));
}

Interval mean_interval(std::span<const double> values, double confidence) {
  return around_mean(values, confidence, 1.0 / static_cast<double>(values.size()));
}

}  // namespace sparsescope
