#include "derive/effect_allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/error.h"
#include "stats/intervals.h"

namespace sparsescope {
namespace {

constexpr int kRounds = 8;            // of weights and settings
constexpr double kLeastShare = 0.05;  // of the loss with the plan in force, that changes may leave
constexpr double kLeastLoss = 1e-12;
constexpr double kRounding = 1e-9;
constexpr double kNotOffered = std::numeric_limits<double>::infinity();

double nearness(int64_t a, int64_t b) { return std::exp2(-static_cast<double>(std::abs(a - b))); }

// [units] from [groups][units of a group], which follow each other.
std::vector<int64_t> flat(const std::vector<std::vector<int64_t>>& chosen) {
  std::vector<int64_t> result;
  for (const std::vector<int64_t>& group : chosen) {
    result.insert(result.end(), group.begin(), group.end());
  }
  return result;
}

}  // namespace

EffectAllocator::EffectAllocator(const MethodCurves& curves, const UnitGrid& grid,
                                 const std::vector<UnitSample>& samples, const DenseSites& dense,
                                 const std::vector<Candidate>& candidates, const EffectTable& table,
                                 int64_t steps, const SettingCosts& costs)
    : grid_(grid),
      dense_(dense),
      candidates_(candidates),
      table_(table),
      samples_(samples),
      costs_(costs),
      steps_(steps),
      all_sites_(static_cast<double>(steps * table.layers * table.heads)),
      points_(samples.size()),
      prices_(samples.size()) {
  for (const EffectSite& site : table.sites) {
    if (!dense.steps[site.step]) passes_.push_back(&site);
  }
  const bool all_dense =
      std::find(dense.steps.begin(), dense.steps.end(), false) == dense.steps.end();
  SPARSESCOPE_CHECK(ErrorKind::kUsage, all_dense || !passes_.empty(),
                    "profile: expected effects on the output at steps that are not dense, found "
                    "them at {} forward passes of dense steps alone",
                    table.sites.size());
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    sites_.push_back(static_cast<double>(samples[unit].sparse_sites));
    if (samples[unit].sample.empty() || samples[unit].sparse_sites == 0) continue;
    for (const Candidate& candidate : candidates) {
      const OperatingPoint point = curves.evaluate(samples[unit].sample, candidate.params);
      points_[unit].push_back(point);
      prices_[unit].push_back(costs.pays(candidate.params, point.density)
                                  ? costs.of(candidate.params, point.density)
                                  : kNotOffered);
    }
  }
}

// Of the cost of dense attention at all sites.
double EffectAllocator::cost_of(size_t unit, size_t candidate) const {
  const double price = candidate < candidates_.size() ? prices_[unit][candidate] : 1.0;
  return price * sites_[unit] / all_sites_;
}

std::vector<double> EffectAllocator::weights_at(int64_t step, const Passes& passes) const {
  const auto of_expert = [&](const EffectSite* pass) {
    return grid_.expert_of(pass->step) == grid_.expert_of(step);
  };
  const bool has_own = std::any_of(passes.begin(), passes.end(), of_expert);
  std::vector<double> weights;
  for (const EffectSite* pass : passes) {
    weights.push_back(!has_own || of_expert(pass) ? nearness(step, pass->step) : 0.0);
  }
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= all;
  return weights;
}

// Mean error of the passes at each step, with those of its neighbours.
std::vector<double> EffectAllocator::step_errors(const Passes& passes, const Losses& losses) const {
  std::vector<double> errors(steps_);
  for (int64_t step = 0; step < steps_; ++step) {
    if (dense_.steps[step]) continue;
    const std::vector<double> weights = weights_at(step, passes);
    for (size_t i = 0; i < losses.size(); ++i) errors[step] += weights[i] * std::sqrt(losses[i]);
  }
  return errors;
}

// Losses of the choices as changes of the mean error: share of the squared error of a pass, times
// half the error of the step.
std::vector<ChoiceGroup> EffectAllocator::weigh(const Passes& passes, const Losses& losses) const {
  const std::vector<double> errors = step_errors(passes, losses);
  const size_t width = candidates_.size() + 1;
  std::vector<std::vector<double>> loss(points_.size(), std::vector<double>(width));
  for (int64_t step = 0; step < steps_; ++step) {
    if (dense_.steps[step]) continue;
    const std::vector<double> weights = weights_at(step, passes);
    for (size_t i = 0; i < losses.size(); ++i) {
      if (weights[i] == 0.0) continue;
      const EffectSite& site = *passes[i];
      const double weight =
          weights[i] * 0.5 * errors[step] / (losses[i] * static_cast<double>(steps_));
      for (int64_t layer = 0; layer < table_.layers; ++layer) {
        if (dense_.contains(step, layer)) continue;
        for (int64_t head = 0; head < table_.heads; ++head) {
          const std::span<const float> changes = table_.changes(site, layer, head);
          std::vector<double>& of_unit = loss[grid_.unit_of(step, layer, head)];
          for (size_t c = 0; c < width; ++c) of_unit[c] += weight * changes[c];
        }
      }
    }
  }
  std::vector<ChoiceGroup> groups;
  for (const UnitGroup& group : grid_.groups()) {
    groups.emplace_back();
    for (size_t unit = group.first; unit < group.first + group.count; ++unit) {
      std::vector<Choice>& choices = groups.back().units.emplace_back();
      for (size_t c = 0; c < width; ++c) {
        const bool is_dense = c == candidates_.size();
        if (!is_dense && (points_[unit].empty() || prices_[unit][c] == kNotOffered)) {
          // Nothing is known of the unit, or the setting does not pay: dense attention is better.
          choices.push_back({cost_of(unit, candidates_.size()) + 1.0, loss[unit].back(), -1});
          continue;
        }
        choices.push_back(
            {cost_of(unit, c), loss[unit][c], is_dense ? -1 : candidates_[c].variant});
      }
    }
  }
  return groups;
}

EffectAllocator::Losses EffectAllocator::foretell(const Passes& passes,
                                                  const std::vector<int64_t>& chosen) const {
  Losses losses;
  for (const EffectSite* pass : passes) {
    const EffectSite& site = *pass;
    double loss = site.loss;
    for (int64_t layer = 0; layer < table_.layers; ++layer) {
      const bool is_dense = dense_.contains(site.step, layer);
      for (int64_t head = 0; head < table_.heads; ++head) {
        const int64_t choice =
            is_dense ? table_.candidates : chosen[grid_.unit_of(site.step, layer, head)];
        loss += table_.changes(site, layer, head)[choice];
      }
    }
    losses.push_back(std::max({loss, kLeastShare * site.loss, kLeastLoss}));
  }
  return losses;
}

// With the plan in force, or around dense attention with the one candidate for all heads whose cost
// is nearest to the budget.
EffectAllocator::Losses EffectAllocator::first_losses(const Passes& passes, double budget) const {
  int64_t nearest = 0;
  double least = std::numeric_limits<double>::infinity();
  const auto known = std::find_if(prices_.begin(), prices_.end(),
                                  [](const auto& prices) { return !prices.empty(); });
  for (size_t c = 0; known != prices_.end() && c < known->size(); ++c) {
    const double distance = std::abs((*known)[c] - budget);
    if (distance < least) {
      least = distance;
      nearest = static_cast<int64_t>(c);
    }
  }
  Losses losses;
  for (const EffectSite* pass : passes) {
    const EffectSite& site = *pass;
    double loss = site.loss;
    for (int64_t layer = 0; !table_.around_plan && layer < table_.layers; ++layer) {
      for (int64_t head = 0; head < table_.heads; ++head) {
        loss += table_.changes(site, layer, head)[nearest];
      }
    }
    losses.push_back(std::max(loss, kLeastLoss));
  }
  return losses;
}

EffectAllocator::Found EffectAllocator::find(const Passes& passes, double budget) const {
  const double dense_cost = dense_.share(), left = budget - dense_cost;
  Losses losses = first_losses(passes, budget);
  std::vector<int64_t> last;
  Found best{.error = std::numeric_limits<double>::infinity()};
  for (int round = 0; round < kRounds; ++round) {
    const BudgetSplit split = split_budget(weigh(passes, losses), left + kRounding);
    costs_.check_budget(budget, split.cost + dense_cost, dense_cost);
    std::vector<int64_t> chosen = flat(split.chosen);
    if (chosen == last) break;  // settled
    losses = foretell(passes, chosen);
    const double error = mean_of(step_errors(passes, losses));
    if (error < best.error) best = {split.cost, chosen, losses, error};
    last = std::move(chosen);
  }
  return best;
}

EffectAllocator::Found EffectAllocator::find_least(double error) const {
  const auto trial_at = [&](double budget) {
    try {
      return std::optional(find(passes_, budget));
    } catch (const Error&) {
      return std::optional<Found>();  // less than the least settings need
    }
  };
  double low = 0.0, high = 1.0;
  Found best = find(passes_, high);
  constexpr int kHalvings = 12;
  for (int i = 0; i < kHalvings; ++i) {
    const double budget = 0.5 * (low + high);
    std::optional<Found> trial = trial_at(budget);
    if (trial && trial->error <= error) {
      high = budget;
      best = std::move(*trial);
    } else {
      low = budget;
    }
  }
  return best;
}

EffectAllocation EffectAllocator::to_budget(double budget) const {
  return finish(find(passes_, budget));
}

EffectAllocation EffectAllocator::to_error(double error) const {
  const Found first = find_least(error);
  EffectAllocation result = finish(first);
  if (result.error_of_prompt.size() < 2 || first.error <= 0.0) return result;
  // Once more, so that the error is kept with what new prompts have more.
  return finish(find_least(error * first.error / result.error));
}

std::vector<double> EffectAllocator::left_out_ratios(double budget) const {
  std::map<int64_t, Passes> passes_of_prompt;
  for (const EffectSite* pass : passes_) passes_of_prompt[pass->prompt].push_back(pass);
  std::vector<double> ratios;
  if (passes_of_prompt.size() < 2) return ratios;
  for (const auto& [prompt, own] : passes_of_prompt) {
    Passes others;
    std::copy_if(passes_.begin(), passes_.end(), std::back_inserter(others),
                 [left_out = prompt](const EffectSite* pass) { return pass->prompt != left_out; });
    const Found found = find(others, budget);
    const std::vector<double> errors = step_errors(others, found.losses);
    const Losses losses = foretell(own, found.chosen);
    double ratio = 0.0;
    for (size_t i = 0; i < own.size(); ++i) ratio += std::sqrt(losses[i]) / errors[own[i]->step];
    ratios.push_back(ratio / static_cast<double>(own.size()));
  }
  return ratios;
}

EffectAllocation EffectAllocator::finish(const Found& found) const {
  EffectAllocation result;
  double recall = 0.0, sites = 0.0;
  for (size_t unit = 0; unit < points_.size(); ++unit) {
    const int64_t choice = found.chosen[unit];
    const bool is_dense = choice == table_.candidates || points_[unit].empty();
    // A setting that computes every pair is dense attention behind a selection.
    if (is_dense || points_[unit][choice].density >= 1.0) {
      result.allocation.settings.emplace_back();
      continue;
    }
    const OperatingPoint& point = points_[unit][choice];
    result.allocation.settings.push_back(Setting{candidates_[choice].params, point});
    recall += sites_[unit] * point.recall;
    sites += sites_[unit];
  }
  result.allocation.recall = sites > 0.0 ? recall / sites : 1.0;
  result.allocation.density = density_of(result.allocation, samples_, dense_);
  result.allocation.cost = found.cost + dense_.share();

  result.error = found.error;
  const std::vector<double> ratios = left_out_ratios(result.allocation.cost);
  if (ratios.empty()) return result;
  // A prompt's distance from the mean of all is (n - 1) / n of that from the mean of the others;
  // and n prompts are fitted as much less than n - 1 of them.
  const auto count = static_cast<double>(ratios.size());
  for (const double ratio : ratios) {
    result.error_of_prompt.push_back(found.error * (1.0 + (count - 1.0) / count * (ratio - 1.0)));
  }
  result.error = mean_of(result.error_of_prompt);
  return result;
}

}  // namespace sparsescope
