#include "derive/lagrange.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sparsescope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool allowed(const Choice& choice, int variant) {
  return choice.variant < 0 || choice.variant == variant;
}

// What a split makes least: at an infinite price the cost alone.
double priced(const Choice& choice, double price) {
  return price == kInfinity ? choice.cost : choice.loss + price * choice.cost;
}

int num_variants(const ChoiceGroup& group) {
  int last = 0;
  for (const std::vector<Choice>& unit : group.units) {
    for (const Choice& choice : unit) last = std::max(last, choice.variant);
  }
  return last + 1;
}

// The least loss + price * cost; of equals the cheaper one. -1 where no choice is allowed.
int64_t best_choice(const std::vector<Choice>& unit, int variant, double price) {
  int64_t best = -1;
  double least = kInfinity;
  for (size_t i = 0; i < unit.size(); ++i) {
    if (!allowed(unit[i], variant)) continue;
    const double value = priced(unit[i], price);
    const bool cheaper = best >= 0 && value == least && unit[i].cost < unit[best].cost;
    if (value < least || cheaper) {
      best = static_cast<int64_t>(i);
      least = value;
    }
  }
  return best;
}

struct GroupChoice {
  std::vector<int64_t> chosen;
  int variant = 0;
  double value = kInfinity;
};

GroupChoice choose(const ChoiceGroup& group, double price) {
  GroupChoice best;
  for (int variant = 0; variant < num_variants(group); ++variant) {
    GroupChoice trial{.variant = variant, .value = 0.0};
    for (const std::vector<Choice>& unit : group.units) {
      const int64_t i = best_choice(unit, variant, price);
      if (i < 0) {
        trial.value = kInfinity;
        break;
      }
      trial.chosen.push_back(i);
      trial.value += priced(unit[i], price);
    }
    if (trial.value < best.value) best = std::move(trial);
  }
  return best;
}

struct Trial {
  BudgetSplit split;
  std::vector<int> variants;  // [groups]
};

Trial split_at(const std::vector<ChoiceGroup>& groups, double price) {
  Trial trial;
  trial.split.price = price;
  for (const ChoiceGroup& group : groups) {
    GroupChoice choice = choose(group, price);
    for (size_t unit = 0; unit < choice.chosen.size(); ++unit) {
      trial.split.cost += group.units[unit][choice.chosen[unit]].cost;
      trial.split.loss += group.units[unit][choice.chosen[unit]].loss;
    }
    trial.variants.push_back(choice.variant);
    trial.split.chosen.push_back(std::move(choice.chosen));
  }
  return trial;
}

// The change of one unit's choice that saves most loss per cost within what is left.
bool spend_rest(const std::vector<ChoiceGroup>& groups, double budget, Trial& trial) {
  BudgetSplit& split = trial.split;
  double best_rate = 0.0;
  size_t best_group = 0, best_unit = 0;
  int64_t best_choice_idx = -1;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t unit = 0; unit < groups[g].units.size(); ++unit) {
      const std::vector<Choice>& choices = groups[g].units[unit];
      const Choice& now = choices[split.chosen[g][unit]];
      for (size_t i = 0; i < choices.size(); ++i) {
        const double more = choices[i].cost - now.cost, saved = now.loss - choices[i].loss;
        if (!allowed(choices[i], trial.variants[g]) || saved <= 0.0) continue;
        if (split.cost + more > budget) continue;
        const double rate = more > 0.0 ? saved / more : kInfinity;
        if (rate <= best_rate) continue;
        best_rate = rate;
        best_group = g;
        best_unit = unit;
        best_choice_idx = static_cast<int64_t>(i);
      }
    }
  }
  if (best_choice_idx < 0) return false;
  const std::vector<Choice>& choices = groups[best_group].units[best_unit];
  int64_t& chosen = split.chosen[best_group][best_unit];
  split.cost += choices[best_choice_idx].cost - choices[chosen].cost;
  split.loss += choices[best_choice_idx].loss - choices[chosen].loss;
  chosen = best_choice_idx;
  return true;
}

}  // namespace

BudgetSplit split_budget(const std::vector<ChoiceGroup>& groups, double budget) {
  Trial best = split_at(groups, 0.0);
  if (best.split.cost <= budget) return best.split;
  best = split_at(groups, kInfinity);
  if (best.split.cost > budget) return best.split;
  // Cost falls as the price rises: halve the range of its exponent.
  double low = -60.0, high = 60.0;
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double exponent = 0.5 * (low + high);
    Trial trial = split_at(groups, std::exp2(exponent));
    if (trial.split.cost <= budget) {
      high = exponent;
      best = std::move(trial);
    } else {
      low = exponent;
    }
  }
  while (spend_rest(groups, budget, best)) {
  }
  return best.split;
}

}  // namespace sparsescope
