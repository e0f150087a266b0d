#include "summary/measured.h"

#include <algorithm>

#include "core/distribution.h"
#include "stats/resampling.h"

namespace sparsescope {
namespace {

std::vector<double> known_of(std::span<const double> values) {
  std::vector<double> known;
  std::copy_if(values.begin(), values.end(), std::back_inserter(known),
               [](double value) { return !std::isnan(value); });
  return known;
}

Interval clipped(const Interval& interval, const Interval& bounds) {
  return {std::max(interval.low, bounds.low), std::min(interval.high, bounds.high)};
}

}  // namespace

Measured over_prompts(std::span<const double> by_prompt, double confidence,
                      const Interval& bounds) {
  const std::vector<double> known = known_of(by_prompt);
  if (known.empty()) return {};
  Measured result{.value = mean_of(known), .prompts = std::ssize(known)};
  if (known.size() >= 2) result.interval = clipped(mean_interval(known, confidence), bounds);
  return result;
}

Measured over_prompts(int64_t prompts, double confidence, const Interval& bounds,
                      const std::function<double(int64_t)>& value_without) {
  Measured result{.value = value_without(-1), .prompts = prompts};
  if (!result.known()) return {};
  if (prompts < 2) return result;
  std::vector<double> without;
  for (int64_t i = 0; i < prompts; ++i) without.push_back(value_without(i));
  if (known_of(without).size() < without.size()) return result;
  const Estimate estimate = jackknife(prompts, confidence, [&](int64_t left_out) {
    return left_out < 0 ? result.value : without[static_cast<size_t>(left_out)];
  });
  result.interval = clipped(estimate.interval, bounds);
  return result;
}

Measured above_chance(const Measured& share, double chance) {
  if (!(chance < 1)) return {};
  const auto excess = [chance](double value) { return (value - chance) / (1 - chance); };
  Measured result = share;
  result.value = excess(share.value);
  if (share.interval) {
    result.interval = Interval{excess(share.interval->low), excess(share.interval->high)};
  }
  return result;
}

double known_mean(std::span<const double> values) {
  const std::vector<double> known = known_of(values);
  return known.empty() ? kNotKnown : mean_of(known);
}

double known_deviation(std::span<const double> values) {
  const std::vector<double> known = known_of(values);
  if (known.size() < 2) return kNotKnown;
  const double mean = mean_of(known);
  double squares = 0;
  for (const double value : known) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(known.size() - 1));
}

double known_quantile(std::span<const double> values, double p) {
  std::vector<double> known = known_of(values);
  if (known.empty()) return kNotKnown;
  std::sort(known.begin(), known.end());
  return quantile_of_sorted(known, p);
}

}  // namespace sparsescope
