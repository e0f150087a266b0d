#include "derive/allocation.h"

#include <tuple>

namespace sparsescope {
namespace {

// The settings of a group of units with one variant.
struct VariantChoice {
  std::vector<std::optional<Setting>> settings;
  int64_t misses = 0;  // units without a setting of that recall
  double cost = 0.0;   // summed over sites
};

VariantChoice choose_variant(const MethodCurves& curves, const std::vector<UnitSample>& samples,
                             const SettingCosts& costs, const UnitGroup& group, double recall,
                             int variant) {
  VariantChoice choice;
  for (size_t unit = group.first; unit < group.first + group.count; ++unit) {
    const UnitSample& sample = samples[unit];
    if (sample.sample.empty() || sample.sparse_sites == 0) {
      choice.settings.emplace_back();
      continue;
    }
    const auto sites = static_cast<double>(sample.sparse_sites);
    const Setting setting = curves.cheapest(sample.sample, recall, variant, costs);
    if (!costs.pays(setting.params, setting.point.density)) {
      choice.settings.emplace_back();
      choice.cost += sites;
      continue;
    }
    choice.settings.emplace_back(setting);
    if (!setting.reaches) ++choice.misses;
    choice.cost += costs.of(setting.params, setting.point.density) * sites;
  }
  return choice;
}

// Of of_setting(setting) over all sites, 1 where there is none.
template <typename OfSetting>
double mean_over_sites(const Allocation& allocation, const std::vector<UnitSample>& samples,
                       const DenseSites& dense, const OfSetting& of_setting) {
  double sparse_sum = 0.0;
  double sparse_sites = 0.0;
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    const auto sites = static_cast<double>(samples[unit].sparse_sites);
    const auto& setting = allocation.settings[unit];
    sparse_sum += sites * (setting ? of_setting(*setting) : 1.0);
    sparse_sites += sites;
  }
  const double dense_share = dense.share();
  return sparse_sites == 0.0 ? 1.0 : dense_share + (1.0 - dense_share) * sparse_sum / sparse_sites;
}

}  // namespace

double density_of(const Allocation& allocation, const std::vector<UnitSample>& samples,
                  const DenseSites& dense) {
  return mean_over_sites(allocation, samples, dense,
                         [](const Setting& setting) { return setting.point.density; });
}

Allocation allocate_at_recall(const MethodCurves& curves, const UnitGrid& grid,
                              const std::vector<UnitSample>& samples, const DenseSites& dense,
                              const SettingCosts& costs, double recall) {
  Allocation result;
  result.recall = recall;
  for (const UnitGroup& group : grid.groups()) {
    VariantChoice best = choose_variant(curves, samples, costs, group, recall, 0);
    for (int variant = 1; variant < curves.num_variants(); ++variant) {
      VariantChoice other = choose_variant(curves, samples, costs, group, recall, variant);
      if (std::tie(other.misses, other.cost) < std::tie(best.misses, best.cost)) {
        best = std::move(other);
      }
    }
    result.settings.insert(result.settings.end(), best.settings.begin(), best.settings.end());
  }
  result.density = density_of(result, samples, dense);
  result.cost = mean_over_sites(result, samples, dense, [&](const Setting& setting) {
    return costs.of(setting.params, setting.point.density);
  });
  return result;
}

Allocation allocate_to_budget(const MethodCurves& curves, const UnitGrid& grid,
                              const std::vector<UnitSample>& samples, const DenseSites& dense,
                              const SettingCosts& costs, double budget) {
  constexpr double kRounding = 1e-9;  // densities are sums of fp32 statistics
  Allocation best = allocate_at_recall(curves, grid, samples, dense, costs, 0.0);
  costs.check_budget(budget, best.cost, dense.share());
  Allocation highest = allocate_at_recall(curves, grid, samples, dense, costs, 1.0);
  if (highest.cost <= budget + kRounding) return highest;
  // Costs do not fall as the level rises: halve the range of levels.
  constexpr int kHalvings = 40;
  double low = 0.0;
  double high = 1.0;
  for (int i = 0; i < kHalvings; ++i) {
    const double level = 0.5 * (low + high);
    Allocation trial = allocate_at_recall(curves, grid, samples, dense, costs, level);
    if (trial.cost <= budget + kRounding) {
      low = level;
      best = std::move(trial);
    } else {
      high = level;
    }
  }
  return best;
}

}  // namespace sparsescope
