#include "plan/cost_lines.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {
namespace {

struct Line {
  double at_zero = 0.0, slope = 0.0;
};

constexpr double kOneDensity = 1e-2;  // points whose deviation is less show no slope

// Of value(point) against the density; slope_of_one_density(density, value) where all points have
// the same.
template <typename Value, typename Slope>
Line fit(const std::vector<CostPoint>& points, const Value& value,
         const Slope& slope_of_one_density) {
  const auto count = static_cast<double>(points.size());
  double mean_x = 0.0, mean_y = 0.0;
  for (const CostPoint& point : points) {
    mean_x += point.density / count;
    mean_y += value(point) / count;
  }
  double xx = 0.0, xy = 0.0;
  for (const CostPoint& point : points) {
    const double x = point.density - mean_x;
    xx += x * x;
    xy += x * (value(point) - mean_y);
  }
  const double slope = xx / count > kOneDensity * kOneDensity
                           ? std::max(0.0, xy / xx)
                           : slope_of_one_density(mean_x, mean_y);
  return {mean_y - slope * mean_x, slope};
}

CostLine fit_series(const std::vector<CostPoint>& points, double dense_ms) {
  const Line selection = fit(
      points, [&](const CostPoint& point) { return point.selection_ms / dense_ms; },
      [](double, double) { return 0.0; });
  const Line kernel = fit(
      points, [&](const CostPoint& point) { return point.kernel_ms / dense_ms; },
      [](double density, double share) { return density > 0.0 ? share / density : 0.0; });
  CostLine line{selection.at_zero, selection.slope, kernel.at_zero, kernel.slope};
  for (const CostPoint& point : points) {
    const double share = (point.selection_ms + point.kernel_ms) / dense_ms;
    line.spread = std::max(
        {line.spread, std::abs(share - line.at(point.density)), 0.5 * point.spread_ms / dense_ms});
  }
  return line;
}

CostLine blend(const CostLine& a, const CostLine& b, double weight_of_b) {
  const auto between = [&](double CostLine::*value) {
    return a.*value + weight_of_b * (b.*value - a.*value);
  };
  return {between(&CostLine::selection), between(&CostLine::selection_slope),
          between(&CostLine::kernel), between(&CostLine::kernel_slope),
          std::max(a.spread, b.spread)};
}

}  // namespace

double CostLine::crossover() const {
  if (pays_at(1.0)) return 1.0;
  if (!pays_at(0.0)) return 0.0;
  return (1.0 - spread - selection - kernel) / (selection_slope + kernel_slope);
}

CostLines::CostLines(const KernelCosts& costs) {
  for (const CostSeries& series : costs.series) {
    entries_.push_back({series.kind, fit_series(series.points, costs.dense_ms)});
  }
}

bool CostLines::has(Method method) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return method_of(entry.kind) == method; });
}

CostLine CostLines::of(const MethodParams& params) const {
  if (const auto* bsa = std::get_if<BsaParams>(&params); bsa != nullptr && has(Method::kBsa)) {
    return of_query_keep(bsa->query_keep);
  }
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return same_kind(entry.kind, params);
  });
  SPARSESCOPE_CHECK(ErrorKind::kUsage, found != entries_.end(),
                    "costs: expected a measured series of {}, found none", kind_name(params));
  return found->line;
}

CostLine CostLines::of_query_keep(double query_keep) const {
  const Entry *below = nullptr, *above = nullptr;
  const auto keep_of = [](const Entry& entry) {
    return std::get<BsaParams>(entry.kind).query_keep;
  };
  for (const Entry& entry : entries_) {
    if (method_of(entry.kind) != Method::kBsa) continue;
    const double keep = keep_of(entry);
    if (keep <= query_keep && (below == nullptr || keep > keep_of(*below))) below = &entry;
    if (keep >= query_keep && (above == nullptr || keep < keep_of(*above))) above = &entry;
  }
  if (below == nullptr || above == nullptr) return below != nullptr ? below->line : above->line;
  const double gap = keep_of(*above) - keep_of(*below);
  return blend(below->line, above->line, gap > 0.0 ? (query_keep - keep_of(*below)) / gap : 0.0);
}

}  // namespace sparsescope
