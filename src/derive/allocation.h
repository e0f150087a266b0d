// A setting for every unit: all units at one common recall, which is also how a budget is spent
// (the highest common recall that it pays for).
#pragma once

#include <optional>
#include <vector>

#include "derive/setting_costs.h"
#include "derive/units.h"

namespace sparsescope {

struct Allocation {
  std::vector<std::optional<Setting>> settings;  // [units]; empty: the unit stays dense
  double recall = 0.0;                           // the common level
  double density = 1.0;                          // over all sites, dense ones as 1
  double cost = 1.0;                             // the same of what the settings cost
};

// Of the settings, over all sites: dense ones count as 1, and so do units without a setting.
double density_of(const Allocation& allocation, const std::vector<UnitSample>& samples,
                  const DenseSites& dense);

// Units whose setting does not pay stay dense.
Allocation allocate_at_recall(const MethodCurves& curves, const UnitGrid& grid,
                              const std::vector<UnitSample>& samples, const DenseSites& dense,
                              const SettingCosts& costs, double recall);

// Error(kUsage) where even the least settings cost more, with what they cost.
Allocation allocate_to_budget(const MethodCurves& curves, const UnitGrid& grid,
                              const std::vector<UnitSample>& samples, const DenseSites& dense,
                              const SettingCosts& costs, double budget);

}  // namespace sparsescope
