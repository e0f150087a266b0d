// What an allocation spends on a setting, dense attention as 1.
//
// Without kernel costs, and for a target that is a density itself, that is the setting's density.
// With them, for the other targets, it is the predicted time, selection included. Wherever they are
// known, a setting that does not beat dense attention beyond their spread does not pay, and dense
// attention takes its place: no plan asks for sparsity that is slower.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "derive/units.h"
#include "plan/cost_lines.h"

namespace sparsescope {

class SettingCosts {
 public:
  SettingCosts() = default;  // densities, and every setting pays
  // Error(kUsage) for a target of speed without costs, or costs without the method.
  explicit SettingCosts(const DeriveOptions& options);

  bool known() const { return lines_.has_value(); }  // kernel costs
  const CostLines& lines() const { return *lines_; }
  bool by_time() const { return by_time_; }
  double of(const MethodParams& params, double density) const;
  bool pays(const MethodParams& params, double density) const;
  // Error(kUsage) where the least that settings can cost is more than a budget; both over all
  // sites, dense_share of which run dense.
  void check_budget(double budget, double least, double dense_share) const;

 private:
  std::optional<CostLines> lines_;
  bool by_time_ = false, for_speed_ = false;
};

// The cost that a density or a speed-up leaves; empty for the other targets.
std::optional<double> budget_of(const DeriveTarget& target);

// Error(kUsage) where costs were measured for calls of another shape.
void check_costs_fit(const KernelCosts& costs, const Profile& profile);

// The fastest setting of all units, and how it fares; nothing is known of a unit without a sample.
struct FastestSetting {
  MethodParams params;
  double density = 1.0;
  CostLine line;
  bool pays = false;
};
std::optional<FastestSetting> fastest_setting(const Profile& profile, const DeriveOptions& options,
                                              const MethodCurves& curves,
                                              const std::vector<UnitSample>& samples,
                                              const SettingCosts& costs);

// For the evidence: where sparsity pays on the machine that was measured, or why the plan is dense.
std::string crossover_remark(const CostLines& lines, Method method);
std::string dense_reason(const FastestSetting& fastest);

}  // namespace sparsescope
