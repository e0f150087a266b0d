#include "capture/reducers/cosine_histogram.h"

#include <algorithm>
#include <cmath>

namespace sparsescope {

void CosineHistogram::add(double product, double norm_a, double norm_b) {
  constexpr double kFloor = 1e-12;
  const double cosine = product / (std::max(norm_a, kFloor) * std::max(norm_b, kFloor));
  const double bin = std::floor((cosine + 1.0) * (kCosineBins / 2.0));
  // Compared as a double: a cosine that is not a number must not become an index.
  const double last = kCosineBins - 1;
  ++counts_[static_cast<size_t>(bin > 0.0 ? std::min(bin, last) : 0.0)];
}

void CosineHistogram::add_counts(std::span<const int64_t> counts) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += counts[i];
}

}  // namespace sparsescope
