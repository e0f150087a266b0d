#include "derive/setting_costs.h"

#include <algorithm>

#include "core/error.h"
#include "derive/candidates.h"

namespace sparsescope {

SettingCosts::SettingCosts(const DeriveOptions& options)
    : by_time_(options.costs != nullptr && options.target.kind != TargetKind::kDensity),
      for_speed_(options.target.kind == TargetKind::kSpeedup) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.costs != nullptr || !for_speed_,
                    "--target {}: expected measured kernel costs (--costs, made by bench costs), "
                    "found none",
                    to_string(options.target));
  if (options.costs == nullptr) return;
  lines_.emplace(*options.costs);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, lines_->has(options.method),
                    "--costs: expected costs of the method {}, found none",
                    to_string(options.method));
}

double SettingCosts::of(const MethodParams& params, double density) const {
  return by_time_ ? lines_->of(params).at(density) : density;
}

bool SettingCosts::pays(const MethodParams& params, double density) const {
  return !lines_ || lines_->of(params).pays_at(density);
}

void SettingCosts::check_budget(double budget, double least, double dense_share) const {
  constexpr double kRounding = 2e-9;  // more than allocations overdraw a budget by
  if (least <= budget + kRounding) return;
  if (for_speed_) {
    fail(ErrorKind::kUsage,
         "--target speedup={:.4g}: the fastest settings of this method are predicted to give "
         "{:.4g} with {:.1f} % of the attention calls dense; ask for less, or for fewer dense "
         "steps and layers",
         1.0 / budget, 1.0 / least, 100.0 * dense_share);
  }
  fail(ErrorKind::kUsage,
       "--target density={}: the least settings of this method need {:.4f} with {:.1f} % of the "
       "attention calls dense; ask for more, or for fewer dense steps and layers",
       budget, least, 100.0 * dense_share);
}

std::optional<double> budget_of(const DeriveTarget& target) {
  if (target.kind == TargetKind::kDensity) return target.value;
  if (target.kind == TargetKind::kSpeedup) return 1.0 / target.value;
  return std::nullopt;
}

void check_costs_fit(const KernelCosts& costs, const Profile& profile) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, costs.grid == profile.grid && costs.tile == profile.tile,
                    "--costs: expected costs of grid {} with tiles of {}, found {} with {}",
                    to_string(profile.grid), to_string(profile.tile), to_string(costs.grid),
                    to_string(costs.tile));
  const auto head_dim = profile.manifest.find("head_dim");
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, head_dim == profile.manifest.end() || *head_dim == costs.head_dim,
      "--costs: expected costs of head dim {}, found {}", head_dim->dump(), costs.head_dim);
}

std::optional<FastestSetting> fastest_setting(const Profile& profile, const DeriveOptions& options,
                                              const MethodCurves& curves,
                                              const std::vector<UnitSample>& samples,
                                              const SettingCosts& costs) {
  const std::vector<Candidate> candidates =
      make_candidates(profile, options.method, shares_heads(options.per));
  std::optional<FastestSetting> best;
  for (const UnitSample& unit : samples) {
    if (unit.sample.empty() || unit.sparse_sites == 0) continue;
    for (const Candidate& candidate : candidates) {
      const double density = curves.evaluate(unit.sample, candidate.params).density;
      const CostLine line = costs.lines().of(candidate.params);
      const bool pays = line.pays_at(density);
      const bool better = !best || (pays && !best->pays) ||
                          (pays == best->pays && line.at(density) < best->line.at(best->density));
      if (better) best = FastestSetting{candidate.params, density, line, pays};
    }
  }
  return best;
}

std::string crossover_remark(const CostLines& lines, Method method) {
  size_t kinds = 0, paying = 0;
  double lowest = 1.0, highest = 0.0, spread = 0.0;
  for (const CostLines::Entry& entry : lines.entries()) {
    if (method_of(entry.kind) != method) continue;
    const double crossover = entry.line.crossover();
    ++kinds;
    if (crossover > 0.0) ++paying;
    lowest = std::min(lowest, crossover);
    highest = std::max(highest, crossover);
    spread = std::max(spread, entry.line.spread);
  }
  return fmt::format(
      "kernel costs: settings pay below a density of {:.3f}{} on the machine measured ({} of {} "
      "kinds of settings pay at some density; spread at most {:.3f} of the time of dense "
      "attention); what does not pay is dense",
      lowest, lowest == highest ? "" : fmt::format(" to {:.3f}, by kind,", highest), paying, kinds,
      spread);
}

std::string dense_reason(const FastestSetting& fastest) {
  const CostLine& line = fastest.line;
  const double selection = line.selection + line.selection_slope * fastest.density;
  const double crossover = line.crossover();
  return fmt::format(
      "sparsity does not pay, the plan is dense: the fastest setting ({}, density {:.4f}) is "
      "predicted to take {:.3f} of the time of dense attention, {:.3f} of it for the selection, "
      "with a spread of {:.3f}; it would pay {}",
      kind_name(fastest.params), fastest.density, line.at(fastest.density), selection, line.spread,
      crossover > 0.0 ? fmt::format("below a density of {:.4f}", crossover) : "at no density");
}

}  // namespace sparsescope
