// What an allocation is expected to do on a new prompt: its density and recall on every profiled
// prompt, and the interval that one further prompt falls into; with kernel costs also the time of
// its attention, whose interval takes in what the measurement of the costs leaves open.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "derive/allocation.h"

namespace sparsescope {

struct Expectation {
  Expected density, recall;
  std::optional<Expected> speedup;  // of attention, selection included; with kernel costs
  std::vector<double> density_of_prompt, recall_of_prompt;  // [prompts that were recorded]
  std::vector<double> time_of_prompt;  // over that of dense attention; with kernel costs
  std::string remark;                  // which interval was used
};

Expectation expect(const Profile& profile, const MethodCurves& curves, const UnitGrid& grid,
                   const std::vector<UnitSample>& samples, const Allocation& allocation,
                   const DenseSites& dense, const SettingCosts& costs, double confidence);

}  // namespace sparsescope
