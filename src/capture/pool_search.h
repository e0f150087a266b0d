// The cuts of one pool of gates under VMoBA's threshold rule: a histogram says in which bin each
// cut falls, and the sorted gates of that bin which entry it is.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "capture/gate_tally.h"
#include "capture/statistic_grids.h"
#include "capture/vmoba_rule.h"

namespace sparsescope {

inline constexpr int64_t kNumTaus = std::ssize(kTaus);

class PoolSearch {
 public:
  // The entries of one bin in which cuts of taus [first_tau, end_tau) fall.
  struct CutBin {
    int32_t bin = 0;
    int64_t first_tau = 0, end_tau = 0;
    int64_t count = 0;    // entries
    double before = 0.0;  // normalised weight of the bins above
  };

  void add_range(const GateRange& range);
  void locate(const GateBins& bins, const BinSums& sums);

  const std::vector<CutBin>& cut_bins() const { return cut_bins_; }
  // [tau] descending; -1 where tau is out of reach: everything is kept
  const std::array<int32_t, kNumTaus>& bins() const { return bin_; }

  // Calls use(tau, place) for the cuts of one bin; gate_at(i): its i-th largest gate.
  template <typename GateAt, typename Use>
  void place_cuts(const CutBin& of, const GateAt& gate_at, const Use& use) const {
    double sum = of.before;
    int64_t tau = of.first_tau;
    for (int64_t i = 0; i < of.count; ++i) {
      sum += (gate_at(i) - range_.lo) * inverse_width_;
      // Rounding may leave the bin's last entry short of what its sum reached.
      for (; tau < of.end_tau && (sum >= needed_[tau] || i + 1 == of.count); ++tau) use(tau, i);
      if (tau == of.end_tau) return;
    }
  }

 private:
  PoolRange range_{std::numeric_limits<double>::infinity(),
                   -std::numeric_limits<double>::infinity()};
  double own_sum_ = 0.0, own_count_ = 0.0;
  double inverse_width_ = 1.0;
  std::array<double, kNumTaus> needed_{};
  std::array<int32_t, kNumTaus> bin_{};
  std::vector<CutBin> cut_bins_;
};

}  // namespace sparsescope
