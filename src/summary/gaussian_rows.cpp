#include "summary/gaussian_rows.h"

#include <algorithm>
#include <cmath>

#include "capture/gaussian_cut.h"
#include "core/error.h"
#include "core/rng.h"
#include "stats/intervals.h"

namespace sparsescope {
namespace {

constexpr int64_t kSimulatedScores = int64_t{1} << 18;
constexpr uint64_t kScoreKey = 0x73636f7265ull;  // "score"

}  // namespace

std::vector<double> gaussian_row_densities(int64_t tiles, std::span<const double> kappas) {
  SPARSESCOPE_ASSERT(tiles >= 1);
  std::vector<double> cuts;
  for (const double kappa : kappas) cuts.push_back(gaussian_cut(kappa));
  std::vector<int64_t> kept(kappas.size(), 0);
  std::vector<double> scores(static_cast<size_t>(tiles));
  const int64_t rows = (kSimulatedScores + tiles - 1) / tiles;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < tiles; ++i) {
      scores[static_cast<size_t>(i)] = normal(kScoreKey, static_cast<uint64_t>(row * tiles + i));
    }
    const double mean = mean_of(scores);
    double squares = 0;
    for (const double score : scores) squares += (score - mean) * (score - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(tiles));
    for (size_t k = 0; k < cuts.size(); ++k) {
      const double cut = kappas[k] >= 1 ? cuts[k] : mean + cuts[k] * deviation;
      const auto above =
          std::count_if(scores.begin(), scores.end(), [cut](double score) { return score >= cut; });
      kept[k] += std::max<int64_t>(1, above);
    }
  }
  std::vector<double> densities;
  for (const int64_t count : kept) {
    densities.push_back(static_cast<double>(count) / static_cast<double>(rows * tiles));
  }
  return densities;
}

double cornish_fisher(double z, double skewness, double excess_kurtosis) {
  const double cube = z * z * z;
  return z + (z * z - 1) * skewness / 6 + (cube - 3 * z) * excess_kurtosis / 24 -
         (2 * cube - 5 * z) * skewness * skewness / 36;
}

std::optional<double> fitted_cut(std::span<const double> kappas, std::span<const double> densities,
                                 double kappa) {
  SPARSESCOPE_ASSERT(kappas.size() == densities.size() && kappa > 0 && kappa < 1);
  if (kappas.empty() || densities[0] > kappa) return std::nullopt;
  for (size_t i = 1; i < kappas.size(); ++i) {
    if (densities[i] < kappa) continue;
    const bool normal = kappas[i] < 1 && densities[i] < 1;
    const auto place = [normal](double share) { return normal ? gaussian_cut(share) : share; };
    const double from = place(densities[i - 1]), to = place(densities[i]);
    const double weight = from == to ? 0.0 : (place(kappa) - from) / (to - from);
    const double fitted = std::lerp(place(kappas[i - 1]), place(kappas[i]), weight);
    return normal ? fitted : gaussian_cut(fitted);
  }
  return std::nullopt;
}

}  // namespace sparsescope
