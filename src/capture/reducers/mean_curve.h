// Weighted means of several values at once: coverage over f, a rule's recall over its parameter,
// the mass of every key tile. Raw sums in fp64; the mean is taken when it is read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

class MeanCurve {
 public:
  explicit MeanCurve(int64_t size) : sums_(static_cast<size_t>(size)) {}

  // weighted_values [size]: sums of weight * value over what is added; weight: the sum of weights.
  void add(std::span<const double> weighted_values, double weight);
  void add_at(int64_t i, double weighted_value) { sums_[i] += weighted_value; }
  void add_weight(double weight) { weight_ += weight; }
  void merge(const MeanCurve& other) { add(other.sums_, other.weight_); }
  std::vector<double> means() const;

 private:
  std::vector<double> sums_;
  double weight_ = 0.0;
};

}  // namespace sparsescope
