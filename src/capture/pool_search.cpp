#include "capture/pool_search.h"

#include <algorithm>

namespace sparsescope {
namespace {

// Sums of runs of bins.
struct ChunkSums {
  static constexpr int32_t kBins = 16;
  std::array<int64_t, kMaxGateBins / kBins> sum{}, count{};
  int32_t num_chunks;
  int64_t total_sum = 0, total_count = 0;

  explicit ChunkSums(const BinSums& sums)
      : num_chunks(static_cast<int32_t>(std::ssize(sums.sum)) / kBins) {
    for (int32_t chunk = 0; chunk < num_chunks; ++chunk) {
      for (int32_t i = 0; i < kBins; ++i) {
        sum[chunk] += sums.sum[chunk * kBins + i];
        count[chunk] += sums.count[chunk * kBins + i];
      }
      total_sum += sum[chunk];
      total_count += count[chunk];
    }
  }
};

}  // namespace

void PoolSearch::add_range(const GateRange& range) {
  range_.lo = std::min<double>(range_.lo, range.finite.lo);
  range_.hi = std::max<double>(range_.hi, range.finite.hi);
  own_sum_ += range.own_sum;
  own_count_ += static_cast<double>(range.own_count);
}

void PoolSearch::locate(const GateBins& bins, const BinSums& sums) {
  inverse_width_ = 1.0 / range_.width();
  const double inverse_unit = 1.0 / bins.unit;  // of a power of two
  // The sum of gate - lo, normalised. Fixed-point steps round: it must not fall below zero.
  const auto weight = [&](int64_t sum, int64_t count) {
    const auto entries = static_cast<double>(count);
    const double gates = static_cast<double>(sum - count * kGateOffset) * inverse_unit;
    return std::max(0.0, (gates - entries * range_.lo) * inverse_width_);
  };
  const ChunkSums chunks(sums);
  const double own = (own_sum_ - own_count_ * range_.lo) * inverse_width_;
  const double total = own + weight(chunks.total_sum, chunks.total_count);
  for (int64_t i = 0; i < kNumTaus; ++i) needed_[i] = needed_weight(kTaus[i], own, total);

  // needed_ ascends with tau, so that one walk finds all; it enters the chunks that hold a cut.
  bin_.fill(-1);
  cut_bins_.reserve(kNumTaus);
  int64_t sum = 0, count = 0, tau = 0;
  double before = 0.0;
  for (int32_t chunk = chunks.num_chunks - 1; chunk >= 0 && tau < kNumTaus; --chunk) {
    const double behind = weight(sum + chunks.sum[chunk], count + chunks.count[chunk]);
    if (behind < needed_[tau]) {
      sum += chunks.sum[chunk];
      count += chunks.count[chunk];
      before = behind;
      continue;
    }
    const int32_t first = chunk * ChunkSums::kBins;
    for (int32_t bin = first + ChunkSums::kBins - 1; bin >= first; --bin) {
      if (sums.count[bin] == 0) continue;
      sum += sums.sum[bin];
      count += sums.count[bin];
      const double after = weight(sum, count);
      if (tau < kNumTaus && after >= needed_[tau]) {
        CutBin& found = cut_bins_.emplace_back(CutBin{bin, tau, tau, sums.count[bin], before});
        for (; tau < kNumTaus && after >= needed_[tau]; ++tau) bin_[tau] = bin;
        found.end_tau = tau;
      }
      before = after;
    }
  }
}

}  // namespace sparsescope
