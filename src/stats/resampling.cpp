#include "stats/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/distribution.h"
#include "core/error.h"
#include "core/rng.h"

namespace sparsescope {
namespace {

double squared_deviations(std::span<const double> values) {
  const double mean = mean_of(values);
  return std::accumulate(values.begin(), values.end(), 0.0, [&](double sum, double value) {
    return sum + (value - mean) * (value - mean);
  });
}

}  // namespace

double jackknife_variance(std::span<const double> without) {
  SPARSESCOPE_ASSERT(without.size() >= 2);
  const auto units = static_cast<double>(without.size());
  return squared_deviations(without) * (units - 1) / units;
}

Estimate jackknife(int64_t units, double confidence,
                   const std::function<double(int64_t)>& value_without) {
  std::vector<double> without;
  for (int64_t unit = 0; unit < units; ++unit) without.push_back(value_without(unit));
  Estimate estimate{.value = value_without(-1)};
  estimate.standard_error = std::sqrt(jackknife_variance(without));
  const double half =
      estimate.standard_error *
      student_t_quantile(0.5 * (1 + confidence), static_cast<int>(units) - 1);
  estimate.interval = {estimate.value - half, estimate.value + half};
  return estimate;
}

Estimate bootstrap(int64_t units, const Bootstrap& options,
                   const std::function<double(std::span<const int64_t>)>& value_of) {
  SPARSESCOPE_ASSERT(units >= 1 && options.draws >= 2);
  std::vector<int64_t> drawn(static_cast<size_t>(units));
  std::iota(drawn.begin(), drawn.end(), int64_t{0});
  Estimate estimate{.value = value_of(drawn)};
  std::vector<double> values;
  for (int64_t draw = 0; draw < options.draws; ++draw) {
    for (int64_t i = 0; i < units; ++i) {
      const double u = uniform(options.seed, static_cast<uint64_t>(draw * units + i));
      drawn[static_cast<size_t>(i)] = static_cast<int64_t>(u * static_cast<double>(units));
    }
    values.push_back(value_of(drawn));
  }
  estimate.standard_error =
      std::sqrt(squared_deviations(values) / static_cast<double>(options.draws - 1));
  std::sort(values.begin(), values.end());
  const double tail = 0.5 * (1 - options.confidence);
  estimate.interval = {quantile_of_sorted(values, tail), quantile_of_sorted(values, 1 - tail)};
  return estimate;
}

}  // namespace sparsescope
