#include "derive/derive.h"

#include <algorithm>

#include "core/error.h"
#include "derive/allocation.h"
#include "derive/dense_choice.h"
#include "derive/effect_allocation.h"
#include "derive/method_curves.h"
#include "derive/plan_assembly.h"
#include "model/experts.h"
#include "stats/intervals.h"

namespace sparsescope {
namespace {

Allocation allocate(const DeriveOptions& options, const MethodCurves& curves, const UnitGrid& grid,
                    const std::vector<UnitSample>& samples, const DenseSites& dense,
                    const SettingCosts& costs) {
  const std::optional<double> budget = budget_of(options.target);
  return budget ? allocate_to_budget(curves, grid, samples, dense, costs, *budget)
                : allocate_at_recall(curves, grid, samples, dense, costs, options.target.value);
}

Allocation all_dense(const UnitGrid& grid) {
  Allocation allocation{.recall = 1.0};
  allocation.settings.resize(grid.units().size());
  return allocation;
}

Plan dense_plan(const PlanParts& parts, const DeriveOptions& options, const std::string& reason) {
  Plan plan = assemble_plan(parts, options);
  plan.evidence["cost"]["dense_because"] = reason;
  plan.method = Method::kDense;
  plan.expected_density = plan.expected_recall =
      Expected{.mean = 1.0, .low = 1.0, .high = 1.0, .confidence = options.confidence};
  plan.expected_error = Expected{.confidence = options.confidence};
  return plan;
}

bool weighs_effects(const Profile& effects, const DeriveOptions& options) {
  const bool held = has_effects(effects, options.method);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      held || (options.target.kind != TargetKind::kError && options.weighing != Weighing::kEffect),
      "--target {}: expected a profile that measured effects on the model's output "
      "(profile --sensitivity N), found none of {} in this one",
      to_string(options.target), to_string(options.method));
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      options.target.kind != TargetKind::kError || options.weighing != Weighing::kRecall,
      "--weigh recall: expected the target recall, density or speedup, found error");
  return held && options.target.kind != TargetKind::kRecall &&
         options.weighing != Weighing::kRecall;
}

void check_effects(const Profile& profile, const Profile& effects) {
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    effects.grid == profile.grid && effects.tile == profile.tile &&
                        effects.steps == profile.steps && effects.layers == profile.layers &&
                        effects.heads == profile.heads,
                    "--effects: expected a profile of grid {}, {} steps, {} layers and {} heads, "
                    "found {}, {}, {} and {}",
                    to_string(profile.grid), profile.steps, profile.layers, profile.heads,
                    to_string(effects.grid), effects.steps, effects.layers, effects.heads);
  SPARSESCOPE_CHECK(ErrorKind::kData, effects.expert == profile.expert,
                    "--effects: expected a profile whose experts run the same steps: the low-noise "
                    "one from step {} on, found {}",
                    first_low_noise_step(profile.expert), first_low_noise_step(effects.expert));
}

Expected expected_error(const EffectAllocation& found, double confidence) {
  Expected expected{.mean = found.error,
                    .low = 0.0,
                    .high = std::max(1.0, found.error),
                    .confidence = confidence};
  if (found.error_of_prompt.size() < 2) return expected;
  const Interval interval = prediction_interval(found.error_of_prompt, confidence);
  expected.low = std::clamp(interval.low, 0.0, found.error);
  expected.high = std::max(interval.high, found.error);
  return expected;
}

std::string effect_remark(const EffectTable& table, const EffectAllocation& found, bool by_time) {
  const std::string remark = fmt::format(
      "settings weighed by their effect on the model's output, measured on {} forward passes "
      "around {}: budget split where the marginal error per {} is the same everywhere; heads, "
      "layers and steps may stay dense",
      table.sites.size(), table.around_plan ? "an earlier plan" : "dense attention",
      by_time ? "time" : "pair");
  if (found.error_of_prompt.empty()) return remark;
  return remark + "; error: each prompt foretold by settings chosen without it";
}

}  // namespace

Plan derive_plan(const Profile& profile, const DeriveOptions& options) {
  check_confidence(options.confidence);
  const SettingCosts costs(options);
  if (options.costs != nullptr) check_costs_fit(*options.costs, profile);
  const bool all_heads = shares_heads(options.per);
  const auto curves = make_method_curves(profile, options.method, all_heads);
  const UnitGrid grid(profile, options.per);
  const Profile& effects = options.effects != nullptr ? *options.effects : profile;
  const bool by_effect = weighs_effects(effects, options);
  DenseChoice dense = named_dense_sites(profile, options);
  std::vector<UnitSample> samples = sample_units(profile, *curves, grid, dense.sites);
  if (costs.known()) {
    dense.remarks.push_back(crossover_remark(costs.lines(), options.method));
    const auto fastest = fastest_setting(profile, options, *curves, samples, costs);
    if (fastest && !fastest->pays) {
      const Allocation allocation = all_dense(grid);
      return dense_plan({profile, *curves, grid, samples, dense, allocation, costs, {}}, options,
                        dense_reason(*fastest));
    }
  }
  Allocation allocation;
  std::optional<EffectAllocation> by_effects;
  if (by_effect) {
    check_effects(profile, effects);
    const std::vector<Candidate> candidates = make_candidates(profile, options.method, all_heads);
    const EffectTable table = read_effects(effects, options.method, candidates);
    const EffectAllocator allocator(*curves, grid, samples, dense.sites, candidates, table,
                                    profile.steps, costs);
    const std::optional<double> budget = budget_of(options.target);
    by_effects = budget ? allocator.to_budget(*budget) : allocator.to_error(options.target.value);
    allocation = by_effects->allocation;
    dense.remarks.push_back(effect_remark(table, *by_effects, costs.by_time()));
  } else {
    allocation = allocate(options, *curves, grid, samples, dense.sites, costs);
    if (!options.dense_first_steps || !options.dense_layers) {
      add_found_dense_sites(dense, profile, options, *curves, grid, allocation);
      samples = sample_units(profile, *curves, grid, dense.sites);
      allocation = allocate(options, *curves, grid, samples, dense.sites, costs);
    }
  }

  Plan plan = assemble_plan(
      {profile, *curves, grid, samples, dense, allocation, costs, curves->remarks()}, options);
  if (by_effects) plan.expected_error = expected_error(*by_effects, options.confidence);
  return plan;
}

}  // namespace sparsescope
