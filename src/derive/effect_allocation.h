// Settings chosen by what they do to the model's output: a budget of cost (see setting_costs.h;
// densities where no kernel costs are known) is split so that the mean
// relative error of the output over all forward passes is least.
//
// The squared error of a pass is its loss with the plan in force plus the changes of all heads, so
// that a change weighs 1 / (2 error) in the mean error; errors follow from the settings, and the
// settings from the weights: a few rounds settle both. Steps lend each other their sites: those n
// steps away count 2^-n. Dense steps have no error and lend nothing; neither do steps of one expert
// to those of the other, unless the other has none of its own.
#pragma once

#include <vector>

#include "derive/allocation.h"
#include "derive/candidates.h"
#include "derive/effect_table.h"
#include "derive/lagrange.h"

namespace sparsescope {

struct EffectAllocation {
  Allocation allocation;
  // Foretold relative error of a new prompt's output, mean over steps. Settings fit the prompts
  // that they were chosen on better than others, the more so the fewer: each prompt is foretold by
  // settings chosen without it, and what it has more than the others then is added.
  double error = 0.0;
  std::vector<double> error_of_prompt;  // [prompts with effects] whose mean is `error`, from two on
};

class EffectAllocator {
 public:
  // All must outlive the object; samples as of sample_units with the same dense sites.
  // Error(kUsage) where the table holds nothing of the steps that are not dense.
  EffectAllocator(const MethodCurves& curves, const UnitGrid& grid,
                  const std::vector<UnitSample>& samples, const DenseSites& dense,
                  const std::vector<Candidate>& candidates, const EffectTable& table, int64_t steps,
                  const SettingCosts& costs);

  // Over all sites, dense ones as 1. Error(kUsage) where the least settings cost more.
  EffectAllocation to_budget(double budget) const;
  // The least cost that is foretold to keep the error.
  EffectAllocation to_error(double error) const;

 private:
  using Passes = std::vector<const EffectSite*>;
  using Losses = std::vector<double>;  // [passes] squared error

  struct Found {
    double cost = 0.0;            // of the sparse sites
    std::vector<int64_t> chosen;  // [units] candidates; their number: dense
    Losses losses;
    double error = 0.0;  // mean over steps
  };

  // Of each pass in the mean that stands for a step; they sum to 1.
  std::vector<double> weights_at(int64_t step, const Passes& passes) const;
  double cost_of(size_t unit, size_t candidate) const;
  std::vector<double> step_errors(const Passes& passes, const Losses& losses) const;
  std::vector<ChoiceGroup> weigh(const Passes& passes, const Losses& losses) const;
  Losses foretell(const Passes& passes, const std::vector<int64_t>& chosen) const;
  Losses first_losses(const Passes& passes, double budget) const;
  Found find(const Passes& passes, double budget) const;
  Found find_least(double error) const;
  // Of each prompt: its error over that of the others, under settings chosen by these alone.
  std::vector<double> left_out_ratios(double budget) const;
  EffectAllocation finish(const Found& found) const;

  const UnitGrid& grid_;
  const DenseSites& dense_;
  const std::vector<Candidate>& candidates_;
  const EffectTable& table_;
  const std::vector<UnitSample>& samples_;
  const SettingCosts& costs_;
  int64_t steps_;
  double all_sites_;                                 // steps * layers * heads
  Passes passes_;                                    // those at steps that are not dense
  std::vector<std::vector<OperatingPoint>> points_;  // [units][candidates]; empty: stays dense
  std::vector<std::vector<double>> prices_;          // [units][candidates] of a site
  std::vector<double> sites_;                        // [units] sparse ones
};

}  // namespace sparsescope
