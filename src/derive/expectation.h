// What an allocation is expected to do on a new prompt: its density and recall on every profiled
// prompt, and the interval that one further prompt falls into.
#pragma once

#include <string>
#include <vector>

#include "derive/allocation.h"

namespace sparsescope {

struct Expectation {
  Expected density, recall;
  std::vector<double> density_of_prompt, recall_of_prompt;  // [prompts that were recorded]
  std::string remark;                                       // which interval was used
};

Expectation expect(const Profile& profile, const MethodCurves& curves, const UnitGrid& grid,
                   const std::vector<UnitSample>& samples, const Allocation& allocation,
                   const DenseSites& dense, double confidence);

}  // namespace sparsescope
