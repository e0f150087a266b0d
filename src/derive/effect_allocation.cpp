#include "derive/effect_allocation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "stats/intervals.h"

namespace sparsescope {
namespace {

constexpr int kRounds = 8;            // of weights and settings
constexpr double kLeastShare = 0.05;  // of the loss with the plan in force, that changes may leave
constexpr double kLeastLoss = 1e-12;
constexpr double kRounding = 1e-9;

double nearness(int64_t a, int64_t b) { return std::exp2(-static_cast<double>(std::abs(a - b))); }

}  // namespace

EffectAllocator::EffectAllocator(const MethodCurves& curves, const UnitGrid& grid,
                                 const std::vector<UnitSample>& samples, const DenseSites& dense,
                                 const std::vector<Candidate>& candidates, const EffectTable& table,
                                 int64_t steps)
    : grid_(grid),
      dense_(dense),
      candidates_(candidates),
      table_(table),
      steps_(steps),
      all_sites_(static_cast<double>(steps * table.layers * table.heads)),
      points_(samples.size()) {
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    sites_.push_back(static_cast<double>(samples[unit].sparse_sites));
    if (samples[unit].sample.empty() || samples[unit].sparse_sites == 0) continue;
    for (const Candidate& candidate : candidates) {
      points_[unit].push_back(curves.evaluate(samples[unit].sample, candidate.params));
    }
  }
}

// Of all pairs of all sites.
double EffectAllocator::cost_of(size_t unit, size_t candidate) const {
  const double density = candidate < candidates_.size() ? points_[unit][candidate].density : 1.0;
  return density * sites_[unit] / all_sites_;
}

// Mean error of the passes at each step, with those of its neighbours.
std::vector<double> EffectAllocator::step_errors(const Losses& losses) const {
  std::vector<double> errors(steps_);
  for (int64_t step = 0; step < steps_; ++step) {
    double weight = 0.0;
    for (size_t i = 0; i < losses.size(); ++i) {
      const double near = nearness(step, table_.sites[i].step);
      errors[step] += near * std::sqrt(losses[i]);
      weight += near;
    }
    errors[step] /= weight;
  }
  return errors;
}

// Losses of the choices as changes of the mean error: share of the squared error of a pass, times
// half the error of the step.
std::vector<ChoiceGroup> EffectAllocator::weigh(const Losses& losses) const {
  const std::vector<double> errors = step_errors(losses);
  const size_t width = candidates_.size() + 1;
  std::vector<std::vector<double>> loss(points_.size(), std::vector<double>(width));
  for (int64_t step = 0; step < steps_; ++step) {
    double all_near = 0.0;
    for (const EffectSite& site : table_.sites) all_near += nearness(step, site.step);
    for (size_t i = 0; i < losses.size(); ++i) {
      const EffectSite& site = table_.sites[i];
      const double weight = nearness(step, site.step) / all_near * 0.5 * errors[step] /
                            (losses[i] * static_cast<double>(steps_));
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
  const size_t per_group = grid_.units_per_layer_part();
  std::vector<ChoiceGroup> groups(points_.size() / per_group);
  for (size_t unit = 0; unit < points_.size(); ++unit) {
    std::vector<Choice>& choices = groups[unit / per_group].units.emplace_back();
    for (size_t c = 0; c < width; ++c) {
      const bool is_dense = c == candidates_.size();
      if (!is_dense && points_[unit].empty()) {
        // Nothing is known of the unit: it stays dense.
        choices.push_back({cost_of(unit, candidates_.size()) + 1.0, loss[unit].back(), -1});
        continue;
      }
      choices.push_back({cost_of(unit, c), loss[unit][c], is_dense ? -1 : candidates_[c].variant});
    }
  }
  return groups;
}

int64_t EffectAllocator::choice_of(const BudgetSplit& split, int64_t step, int64_t layer,
                                   int64_t head) const {
  const size_t unit = grid_.unit_of(step, layer, head), per_group = grid_.units_per_layer_part();
  return split.chosen[unit / per_group][unit % per_group];
}

EffectAllocator::Losses EffectAllocator::foretell(const BudgetSplit& split) const {
  Losses losses;
  for (const EffectSite& site : table_.sites) {
    double loss = site.loss;
    for (int64_t layer = 0; layer < table_.layers; ++layer) {
      const bool is_dense = dense_.contains(site.step, layer);
      for (int64_t head = 0; head < table_.heads; ++head) {
        const int64_t choice =
            is_dense ? table_.candidates : choice_of(split, site.step, layer, head);
        loss += table_.changes(site, layer, head)[choice];
      }
    }
    losses.push_back(std::max({loss, kLeastShare * site.loss, kLeastLoss}));
  }
  return losses;
}

// With the plan in force, or around dense attention with the one candidate for all heads whose
// density is nearest.
EffectAllocator::Losses EffectAllocator::first_losses(double density) const {
  int64_t nearest = 0;
  double least = std::numeric_limits<double>::infinity();
  const auto known = std::find_if(points_.begin(), points_.end(),
                                  [](const auto& points) { return !points.empty(); });
  for (size_t c = 0; known != points_.end() && c < known->size(); ++c) {
    const double distance = std::abs((*known)[c].density - density);
    if (distance < least) {
      least = distance;
      nearest = static_cast<int64_t>(c);
    }
  }
  Losses losses;
  for (const EffectSite& site : table_.sites) {
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

EffectAllocation EffectAllocator::to_density(double density) const {
  const double dense_cost = dense_.share(), budget = density - dense_cost;
  Losses losses = first_losses(density);
  BudgetSplit best;
  double least = std::numeric_limits<double>::infinity();
  Losses best_losses;
  for (int round = 0; round < kRounds; ++round) {
    BudgetSplit split = split_budget(weigh(losses), budget + kRounding);
    SPARSESCOPE_CHECK(ErrorKind::kUsage, split.cost <= budget + kRounding,
                      "--target density={}: the least settings of this method need {:.4f} with "
                      "{:.1f} % of the attention calls dense; ask for more, or for fewer dense "
                      "steps and layers",
                      density, split.cost + dense_cost, 100.0 * dense_cost);
    losses = foretell(split);
    const double error = mean_of(step_errors(losses));
    if (error >= least) continue;
    least = error;
    best = std::move(split);
    best_losses = losses;
  }
  return finish(best, best_losses);
}

EffectAllocation EffectAllocator::to_error(double error) const {
  const auto foretold = [&](double density) {
    try {
      return std::optional(to_density(density));
    } catch (const Error&) {
      return std::optional<EffectAllocation>();  // less than the least settings need
    }
  };
  double low = 0.0, high = 1.0;
  std::optional<EffectAllocation> best = foretold(high);
  SPARSESCOPE_ASSERT(best);
  constexpr int kHalvings = 12;
  for (int i = 0; i < kHalvings; ++i) {
    const double density = 0.5 * (low + high);
    std::optional<EffectAllocation> trial = foretold(density);
    if (trial && trial->error <= error) {
      high = density;
      best = std::move(trial);
    } else {
      low = density;
    }
  }
  return std::move(*best);
}

EffectAllocation EffectAllocator::finish(const BudgetSplit& split, const Losses& losses) const {
  EffectAllocation result;
  const size_t per_group = grid_.units_per_layer_part();
  double recall = 0.0, sites = 0.0;
  for (size_t unit = 0; unit < points_.size(); ++unit) {
    const int64_t choice = split.chosen[unit / per_group][unit % per_group];
    if (choice == table_.candidates || points_[unit].empty()) {
      result.allocation.settings.emplace_back();
      continue;
    }
    const OperatingPoint& point = points_[unit][choice];
    result.allocation.settings.push_back(Setting{candidates_[choice].params, point});
    recall += sites_[unit] * point.recall;
    sites += sites_[unit];
  }
  result.allocation.recall = sites > 0.0 ? recall / sites : 1.0;
  result.allocation.density = split.cost + dense_.share();

  const std::vector<double> errors = step_errors(losses);
  result.error = mean_of(errors);
  std::map<int64_t, std::vector<double>> ratios;  // of a prompt's passes to the mean of their step
  for (size_t i = 0; i < losses.size(); ++i) {
    const EffectSite& site = table_.sites[i];
    if (errors[site.step] > 0.0) {
      ratios[site.prompt].push_back(std::sqrt(losses[i]) / errors[site.step]);
    }
  }
  for (const auto& [prompt, of_prompt] : ratios) {
    result.error_of_prompt.push_back(result.error * mean_of(of_prompt));
  }
  return result;
}

}  // namespace sparsescope
