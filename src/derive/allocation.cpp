#include "derive/allocation.h"

#include <tuple>

#include "core/error.h"

namespace sparsescope {
namespace {

// The settings of a group of units with one variant.
struct VariantChoice {
  std::vector<std::optional<Setting>> settings;
  int64_t misses = 0;  // units without a setting of that recall
  double cost = 0.0;   // sum of density over sites
};

VariantChoice choose_variant(const MethodCurves& curves, const std::vector<UnitSample>& samples,
                             const UnitGroup& group, double recall, int variant) {
  VariantChoice choice;
  for (size_t unit = group.first; unit < group.first + group.count; ++unit) {
    const UnitSample& sample = samples[unit];
    if (sample.sample.empty() || sample.sparse_sites == 0) {
      choice.settings.emplace_back();
      continue;
    }
    choice.settings.emplace_back(curves.cheapest(sample.sample, recall, variant));
    const Setting& setting = *choice.settings.back();
    if (!setting.reaches) ++choice.misses;
    choice.cost += setting.point.density * static_cast<double>(sample.sparse_sites);
  }
  return choice;
}

}  // namespace

double density_of(const Allocation& allocation, const std::vector<UnitSample>& samples,
                  const DenseSites& dense) {
  double sparse_cost = 0.0;
  double sparse_sites = 0.0;
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    const auto sites = static_cast<double>(samples[unit].sparse_sites);
    const auto& setting = allocation.settings[unit];
    sparse_cost += sites * (setting ? setting->point.density : 1.0);
    sparse_sites += sites;
  }
  const double dense_share = dense.share();
  return sparse_sites == 0.0 ? 1.0 : dense_share + (1.0 - dense_share) * sparse_cost / sparse_sites;
}

Allocation allocate_at_recall(const MethodCurves& curves, const UnitGrid& grid,
                              const std::vector<UnitSample>& samples, const DenseSites& dense,
                              double recall) {
  Allocation result;
  result.recall = recall;
  for (const UnitGroup& group : grid.groups()) {
    VariantChoice best = choose_variant(curves, samples, group, recall, 0);
    for (int variant = 1; variant < curves.num_variants(); ++variant) {
      VariantChoice other = choose_variant(curves, samples, group, recall, variant);
      if (std::tie(other.misses, other.cost) < std::tie(best.misses, best.cost)) {
        best = std::move(other);
      }
    }
    result.settings.insert(result.settings.end(), best.settings.begin(), best.settings.end());
  }
  result.density = density_of(result, samples, dense);
  return result;
}

Allocation allocate_to_density(const MethodCurves& curves, const UnitGrid& grid,
                               const std::vector<UnitSample>& samples, const DenseSites& dense,
                               double budget) {
  constexpr double kRounding = 1e-9;  // densities are sums of fp32 statistics
  Allocation best = allocate_at_recall(curves, grid, samples, dense, 0.0);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, best.density <= budget + kRounding,
      "--target density={}: the least settings of this method need {:.4f} with {:.1f} "
      "% of the attention calls dense; ask for more, or for fewer dense steps and "
      "layers",
      budget, best.density, 100.0 * dense.share());
  Allocation highest = allocate_at_recall(curves, grid, samples, dense, 1.0);
  if (highest.density <= budget + kRounding) return highest;
  // Density never falls as the level rises: halve the range of levels.
  constexpr int kHalvings = 40;
  double low = 0.0;
  double high = 1.0;
  for (int i = 0; i < kHalvings; ++i) {
    const double level = 0.5 * (low + high);
    Allocation trial = allocate_at_recall(curves, grid, samples, dense, level);
    if (trial.density <= budget + kRounding) {
      low = level;
      best = std::move(trial);
    } else {
      high = level;
    }
  }
  return best;
}

}  // namespace sparsescope
