#include "validate/ssim.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr int64_t kWindow = 11;
constexpr double kSigma = 1.5;
constexpr double kK1 = 0.01;
constexpr double kK2 = 0.03;

std::vector<double> gaussian(int64_t size) {
  std::vector<double> weights(static_cast<size_t>(size));
  double sum = 0.0;
  for (int64_t i = 0; i < size; ++i) {
    const double offset = static_cast<double>(i - size / 2) / kSigma;
    weights[static_cast<size_t>(i)] = std::exp(-0.5 * offset * offset);
    sum += weights[static_cast<size_t>(i)];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

// Filters planes of one size; valid windows only, columns first, then rows.
class WindowFilter {
 public:
  WindowFilter(int64_t height, int64_t width)
      : height_(height),
        width_(width),
        weights_(
            gaussian(std::min(kWindow, std::min(height, width) - 1 + std::min(height, width) % 2))),
        out_height_(height - size() + 1),
        out_width_(width - size() + 1),
        rows_(static_cast<size_t>(height * out_width_)) {}

  int64_t size() const { return static_cast<int64_t>(weights_.size()); }
  int64_t num_windows() const { return out_height_ * out_width_; }

  // in [height, width] -> out [out_height, out_width]
  void apply(const std::vector<double>& in, std::vector<double>& out) {
    std::fill(rows_.begin(), rows_.end(), 0.0);
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t i = 0; i < size(); ++i) {
        const double* from = in.data() + y * width_ + i;
        double* to = rows_.data() + y * out_width_;
        for (int64_t x = 0; x < out_width_; ++x)
          to[x] += weights_[static_cast<size_t>(i)] * from[x];
      }
    }
    out.assign(static_cast<size_t>(num_windows()), 0.0);
    for (int64_t y = 0; y < out_height_; ++y) {
      for (int64_t i = 0; i < size(); ++i) {
        const double* from = rows_.data() + (y + i) * out_width_;
        double* to = out.data() + y * out_width_;
        for (int64_t x = 0; x < out_width_; ++x)
          to[x] += weights_[static_cast<size_t>(i)] * from[x];
      }
    }
  }

 private:
  int64_t height_, width_;
  std::vector<double> weights_;
  int64_t out_height_, out_width_;
  std::vector<double> rows_;  // [height, out_width]
};

}  // namespace

double ssim(std::span<const float> reference, std::span<const float> other, int64_t height,
            int64_t width, double range) {
  const auto plane = static_cast<size_t>(height * width);
  SPARSESCOPE_ASSERT(plane > 0 && reference.size() == other.size());
  SPARSESCOPE_ASSERT(!reference.empty() && reference.size() % plane == 0);
  const double c1 = (kK1 * range) * (kK1 * range);
  const double c2 = (kK2 * range) * (kK2 * range);
  WindowFilter filter(height, width);
  std::vector<double> x(plane), y(plane), xx(plane), yy(plane), xy(plane);
  std::vector<double> mx, my, mxx, myy, mxy;
  double sum = 0.0;
  for (size_t first = 0; first < reference.size(); first += plane) {
    for (size_t i = 0; i < plane; ++i) {
      x[i] = reference[first + i];
      y[i] = other[first + i];
      xx[i] = x[i] * x[i];
      yy[i] = y[i] * y[i];
      xy[i] = x[i] * y[i];
    }
    filter.apply(x, mx);
    filter.apply(y, my);
    filter.apply(xx, mxx);
    filter.apply(yy, myy);
    filter.apply(xy, mxy);
    for (size_t i = 0; i < mx.size(); ++i) {
      const double square = mx[i] * mx[i] + my[i] * my[i];
      const double product = mx[i] * my[i];
      const double numerator = (2.0 * product + c1) * (2.0 * (mxy[i] - product) + c2);
      const double denominator = (square + c1) * (mxx[i] + myy[i] - square + c2);
      // A range of 0 leaves no constants: equal flat planes are alike.
      sum += denominator == 0.0 ? 1.0 : numerator / denominator;
    }
  }
  const auto planes = static_cast<double>(reference.size() / plane);
  return sum / (planes * static_cast<double>(filter.num_windows()));
}

}  // namespace sparsescope
