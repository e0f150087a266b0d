#include "capture/reducers/axis_pairs.h"

#include <cstdlib>
#include <numeric>

namespace sparsescope {

AxisPairs::AxisPairs(int64_t extent)
    : extent_(extent),
      sums_(static_cast<size_t>(extent * extent)),
      rows_(static_cast<size_t>(extent)) {}

void AxisPairs::add(int64_t own, std::span<const double> mass, double rows) {
  for (int64_t b = 0; b < extent_; ++b) sums_[own * extent_ + b] += mass[b];
  rows_[own] += rows;
}

void AxisPairs::merge(const AxisPairs& other) {
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  for (size_t i = 0; i < rows_.size(); ++i) rows_[i] += other.rows_[i];
}

std::vector<double> AxisPairs::by_distance() const {
  const double rows = std::accumulate(rows_.begin(), rows_.end(), 0.0);
  std::vector<double> means(extent_);
  for (int64_t a = 0; a < extent_; ++a) {
    for (int64_t b = 0; b < extent_; ++b) means[std::abs(a - b)] += sums_[a * extent_ + b] / rows;
  }
  return means;
}

std::vector<double> AxisPairs::by_pair() const {
  std::vector<double> means(sums_);
  for (size_t i = 0; i < means.size(); ++i) means[i] /= rows_[i / extent_];
  return means;
}

}  // namespace sparsescope
