// Splits a budget of cost over units that choose a setting each, so that the sum of losses is
// least: all units stand where the marginal loss per unit of cost is the same (Everett 1963). Units
// of a group share a variant.
#pragma once

#include <cstdint>
#include <vector>

namespace sparsescope {

struct Choice {
  double cost = 0.0, loss = 0.0;
  int variant = -1;  // -1: allowed beside any variant
};

struct ChoiceGroup {
  std::vector<std::vector<Choice>> units;  // [units][choices]
};

struct BudgetSplit {
  std::vector<std::vector<int64_t>> chosen;  // [groups][units]
  double cost = 0.0, loss = 0.0;
  double price = 0.0;  // marginal loss per unit of cost
};

// The split of least loss whose cost is at most the budget, or of least cost where none is. What
// the price leaves over goes to the units that gain most by it.
BudgetSplit split_budget(const std::vector<ChoiceGroup>& groups, double budget);

}  // namespace sparsescope
