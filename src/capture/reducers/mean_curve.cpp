#include "capture/reducers/mean_curve.h"

#include "core/error.h"

namespace sparsescope {

void MeanCurve::add(std::span<const double> weighted_values, double weight) {
  SPARSESCOPE_ASSERT(weighted_values.size() == sums_.size());
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += weighted_values[i];
  weight_ += weight;
}

std::vector<double> MeanCurve::means() const {
  std::vector<double> means(sums_);
  for (double& mean : means) mean /= weight_;
  return means;
}

}  // namespace sparsescope
