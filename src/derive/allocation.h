// A setting for every unit: all units at one common recall, which is also how a density budget is
// spent (the highest common recall that it pays for).
#pragma once

#include <optional>
#include <vector>

#include "derive/units.h"

namespace sparsescope {

struct Allocation {
  std::vector<std::optional<Setting>> settings;  // [units]; empty: the unit stays dense
  double recall = 0.0;                           // the common level
  double density = 1.0;                          // over all sites, dense ones as 1
};

// Of the settings, over all sites: dense ones count as 1, and so do units without a setting.
double density_of(const Allocation& allocation, const std::vector<UnitSample>& samples,
                  const DenseSites& dense);

Allocation allocate_at_recall(const MethodCurves& curves, const UnitGrid& grid,
                              const std::vector<UnitSample>& samples, const DenseSites& dense,
                              double recall);

// Error(kUsage) where even the least settings need more, with the density that they need.
Allocation allocate_to_density(const MethodCurves& curves, const UnitGrid& grid,
                               const std::vector<UnitSample>& samples, const DenseSites& dense,
                               double budget);

}  // namespace sparsescope
