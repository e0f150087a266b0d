// Settings chosen by what they do to the model's output: the budget is split so that the mean
// relative error of the output over all forward passes is least.
//
// The squared error of a pass is its loss with the plan in force plus the changes of all heads, so
// that a change weighs 1 / (2 error) in the mean error; errors follow from the settings, and the
// settings from the weights: a few rounds settle both. Steps lend each other their sites: those n
// steps away count 2^-n.
#pragma once

#include <vector>

#include "derive/allocation.h"
#include "derive/candidates.h"
#include "derive/effect_table.h"
#include "derive/lagrange.h"

namespace sparsescope {

struct EffectAllocation {
  Allocation allocation;
  double error = 0.0;                   // foretold relative error of the output, mean over steps
  std::vector<double> error_of_prompt;  // [prompts with effects]
};

class EffectAllocator {
 public:
  // All must outlive the object; samples as of sample_units with the same dense sites.
  EffectAllocator(const MethodCurves& curves, const UnitGrid& grid,
                  const std::vector<UnitSample>& samples, const DenseSites& dense,
                  const std::vector<Candidate>& candidates, const EffectTable& table,
                  int64_t steps);

  // density: over all sites, dense ones as 1. Error(kUsage) where the least settings need more.
  EffectAllocation to_density(double density) const;
  // The least density that is foretold to keep the error.
  EffectAllocation to_error(double error) const;

 private:
  using Losses = std::vector<double>;  // [sites] squared error of every pass

  double cost_of(size_t unit, size_t candidate) const;
  std::vector<double> step_errors(const Losses& losses) const;
  std::vector<ChoiceGroup> weigh(const Losses& losses) const;
  Losses foretell(const BudgetSplit& split) const;
  Losses first_losses(double density) const;
  int64_t choice_of(const BudgetSplit& split, int64_t step, int64_t layer, int64_t head) const;
  EffectAllocation finish(const BudgetSplit& split, const Losses& losses) const;

  const UnitGrid& grid_;
  const DenseSites& dense_;
  const std::vector<Candidate>& candidates_;
  const EffectTable& table_;
  int64_t steps_;
  double all_sites_;                                 // steps * layers * heads
  std::vector<std::vector<OperatingPoint>> points_;  // [units][candidates]; empty: stays dense
  std::vector<double> sites_;                        // [units] sparse ones
};

}  // namespace sparsescope
