#include "validate/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double ratio(double difference, double reference) {
  if (difference == 0.0) return 0.0;
  return reference == 0.0 ? kInfinity : difference / reference;
}

}  // namespace

void ErrorSums::add(std::span<const float> reference, std::span<const float> other) {
  SPARSESCOPE_ASSERT(reference.size() == other.size());
  for (size_t i = 0; i < reference.size(); ++i) {
    const double o = reference[i];
    const double x = other[i];
    abs_difference_ += std::abs(o - x);
    abs_reference_ += std::abs(o);
    square_difference_ += (o - x) * (o - x);
    square_reference_ += o * o;
    square_other_ += x * x;
    product_ += o * x;
  }
}

void ErrorSums::merge(const ErrorSums& part) {
  abs_difference_ += part.abs_difference_;
  abs_reference_ += part.abs_reference_;
  square_difference_ += part.square_difference_;
  square_reference_ += part.square_reference_;
  square_other_ += part.square_other_;
  product_ += part.product_;
}

double ErrorSums::rel_l1() const { return ratio(abs_difference_, abs_reference_); }

double ErrorSums::rel_l2() const {
  return ratio(std::sqrt(square_difference_), std::sqrt(square_reference_));
}

double ErrorSums::cosine() const {
  if (square_reference_ == 0.0 && square_other_ == 0.0) return 1.0;
  if (square_reference_ == 0.0 || square_other_ == 0.0) return 0.0;
  const double cosine = product_ / (std::sqrt(square_reference_) * std::sqrt(square_other_));
  return std::clamp(cosine, -1.0, 1.0);  // rounding may pass 1
}

double rel_l2(std::span<const float> reference, std::span<const float> other) {
  ErrorSums sums;
  sums.add(reference, other);
  return sums.rel_l2();
}

double psnr(std::span<const float> reference, std::span<const float> other, double range) {
  SPARSESCOPE_ASSERT(reference.size() == other.size() && !reference.empty());
  double squares = 0.0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double difference = static_cast<double>(reference[i]) - static_cast<double>(other[i]);
    squares += difference * difference;
  }
  if (squares == 0.0) return kInfinity;
  return 10.0 * std::log10(range * range * static_cast<double>(reference.size()) / squares);
}

double value_range(std::span<const float> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return static_cast<double>(*high) - static_cast<double>(*low);
}

}  // namespace sparsescope
