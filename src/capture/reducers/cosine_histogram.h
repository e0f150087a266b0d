// Counts of cosines in 64 equal bins over [-1, 1].
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "capture/statistic_grids.h"

namespace sparsescope {

class CosineHistogram {
 public:
  // Of two vectors with this inner product and these norms, each floored at 1e-12.
  void add(double product, double norm_a, double norm_b);
  void add_counts(std::span<const int64_t> counts);
  void merge(const CosineHistogram& other) { add_counts(other.counts_); }
  const std::array<int64_t, kCosineBins>& counts() const { return counts_; }

 private:
  std::array<int64_t, kCosineBins> counts_{};
};

}  // namespace sparsescope
