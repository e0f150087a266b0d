// Intervals from a few independent values (prompts are the independent unit): Student's t.
#pragma once

#include <span>

namespace sparsescope {

struct Interval {
  double low = 0, high = 0;
};

double mean_of(std::span<const double> values);

// The value that Student's t with this many degrees of freedom stays below with probability p.
double student_t_quantile(double p, int degrees_of_freedom);

// Both need at least two values.
// Where one further value falls with the given confidence: mean +- t * s * sqrt(1 + 1/n).
Interval prediction_interval(std::span<const double> values, double confidence);
// Where the mean of all such values lies: mean +- t * s / sqrt(n).
Interval mean_interval(std::span<const double> values, double confidence);

}  // namespace sparsescope
