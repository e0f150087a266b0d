// The grids on which the statistics of a profile are measured.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace sparsescope {

// f of the coverages and kappa of BSA: fractions of the tiles kept.
inline constexpr std::array<double, 12> kFractions = {1.0 / 64, 1.0 / 32, 3.0 / 64, 1.0 / 16,
                                                      3.0 / 32, 1.0 / 8,  3.0 / 16, 1.0 / 4,
                                                      3.0 / 8,  1.0 / 2,  3.0 / 4,  1.0};

// tau of VMoBA's thresholds: 0.05 to 0.95.
inline constexpr std::array<double, 19> kTaus = [] {
  std::array<double, 19> taus{};
  for (size_t i = 0; i < taus.size(); ++i) taus[i] = static_cast<double>(i + 1) / 20.0;
  return taus;
}();

inline constexpr int64_t kCosineBins = 64;

// K(f) = clamp(ceil(f*N), 1, N)
inline int64_t tiles_kept(double fraction, int64_t num_tiles) {
  const auto wanted = static_cast<int64_t>(std::ceil(fraction * static_cast<double>(num_tiles)));
  return std::clamp<int64_t>(wanted, 1, num_tiles);
}

}  // namespace sparsescope
