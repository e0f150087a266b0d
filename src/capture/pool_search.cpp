#include "capture/pool_search.h"

#include <algorithm>

namespace sparsescope {

void PoolSearch::add_range(const GateRange& range) {
  range_.lo = std::min<double>(range_.lo, range.finite.lo);
  range_.hi = std::max<double>(range_.hi, range.finite.hi);
  own_sum_ += range.own_sum;
  own_count_ += static_cast<double>(range.own_count);
}

void PoolSearch::locate(const GateBins& bins, const BinSums& sums) {
  inverse_width_ = 1.0 / range_.width();
  // The sum of gate - lo, normalised. Fixed-point steps round: it must not fall below zero.
  const auto weight = [&](int64_t sum, int64_t count) {
    const auto entries = static_cast<double>(count);
    const double gates = static_cast<double>(sum - count * kGateOffset) / bins.unit;
    return std::max(0.0, (gates - entries * range_.lo) * inverse_width_);
  };
  int64_t sum = 0, count = 0;
  for (int32_t bin = 0; bin < kGateBins; ++bin) {
    sum += sums.sum[bin];
    count += sums.count[bin];
  }
  const double own = (own_sum_ - own_count_ * range_.lo) * inverse_width_;
  const double total = own + weight(sum, count);
  for (int64_t i = 0; i < kNumTaus; ++i) needed_[i] = needed_weight(kTaus[i], own, total);

  // needed_ ascends with tau, so that one walk finds all.
  bin_.fill(-1);
  cut_bins_.reserve(kNumTaus);
  sum = count = 0;
  double before = 0.0;
  int64_t tau = 0;
  for (int32_t bin = kGateBins - 1; bin >= 0 && tau < kNumTaus; --bin) {
    if (sums.count[bin] == 0) continue;
    sum += sums.sum[bin];
    count += sums.count[bin];
    const double after = weight(sum, count);
    if (after >= needed_[tau]) {
      CutBin& found = cut_bins_.emplace_back(CutBin{bin, tau, tau, sums.count[bin], before});
      for (; tau < kNumTaus && after >= needed_[tau]; ++tau) bin_[tau] = bin;
      found.end_tau = tau;
    }
    before = after;
  }
}

}  // namespace sparsescope
