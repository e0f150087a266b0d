// A plan from settings: rules, what they are expected to do, and the evidence.
#pragma once

#include <string>
#include <vector>

#include "derive/allocation.h"
#include "derive/dense_choice.h"

namespace sparsescope {

// What a plan is made of, besides the options.
struct PlanParts {
  const Profile& profile;
  const MethodCurves& curves;
  const UnitGrid& grid;
  const std::vector<UnitSample>& samples;  // [units]
  const DenseChoice& dense;
  const Allocation& allocation;
  const SettingCosts& costs;
  std::vector<std::string> remarks;  // how the settings were chosen, for the evidence
};

Plan assemble_plan(const PlanParts& parts, const DeriveOptions& options);

void check_confidence(double confidence);  // Error(kUsage) outside 0 .. 1

}  // namespace sparsescope
