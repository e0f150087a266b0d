// Splitting a budget: against all combinations, and by hand.
#include "derive/lagrange.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/rng.h"

namespace sparsescope {
namespace {

// Convex falling losses, of which every combination can be tried.
std::vector<ChoiceGroup> random_groups(uint64_t seed, int groups, int units, int choices) {
  std::vector<ChoiceGroup> result(groups);
  uint64_t index = 0;
  for (ChoiceGroup& group : result) {
    for (int unit = 0; unit < units; ++unit) {
      std::vector<Choice>& of_unit = group.units.emplace_back();
      const double scale = 0.1 + uniform(seed, index++);
      for (int i = 1; i <= choices; ++i) {
        of_unit.push_back({static_cast<double>(i), scale / (i + uniform(seed, index))});
      }
      ++index;
    }
  }
  return result;
}

double least_loss(const std::vector<std::vector<Choice>>& units, size_t unit, double budget) {
  if (unit == units.size()) return 0.0;
  double least = std::numeric_limits<double>::infinity();
  for (const Choice& choice : units[unit]) {
    if (choice.cost > budget) continue;
    least = std::min(least, choice.loss + least_loss(units, unit + 1, budget - choice.cost));
  }
  return least;
}

TEST(SplitBudget, ConvexUnitsReachTheBestOfAllCombinations) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<ChoiceGroup> groups = random_groups(seed, 1, 4, 5);
    for (const double budget : {4.0, 7.0, 11.0, 20.0}) {
      const BudgetSplit split = split_budget(groups, budget);
      EXPECT_LE(split.cost, budget);
      EXPECT_NEAR(split.loss, least_loss(groups[0].units, 0, budget), 1e-12)
          << "seed " << seed << " budget " << budget;
    }
  }
}

TEST(SplitBudget, AGroupSharesItsVariant) {
  // Variant 0 is better for the first unit, variant 1 by more for the second.
  const ChoiceGroup group{{{{1, 1.0, 0}, {1, 1.5, 1}}, {{1, 3.0, 0}, {1, 1.0, 1}}}};
  const BudgetSplit split = split_budget({group}, 2.0);
  EXPECT_EQ(split.chosen, (std::vector<std::vector<int64_t>>{{1, 1}}));
  EXPECT_DOUBLE_EQ(split.loss, 2.5);
}

TEST(SplitBudget, ChoicesOfNoVariantStandBesideAll) {
  const ChoiceGroup group{{{{1, 5.0, 0}, {4, 0.0, -1}}, {{1, 1.0, 0}, {4, 0.9, -1}}}};
  const BudgetSplit split = split_budget({group}, 5.0);
  EXPECT_EQ(split.chosen, (std::vector<std::vector<int64_t>>{{1, 0}}));
}

TEST(SplitBudget, TooSmallABudgetGivesTheCheapest) {
  const ChoiceGroup group{{{{2, 1.0}, {3, 0.0}}}};
  const BudgetSplit split = split_budget({group}, 1.0);
  EXPECT_DOUBLE_EQ(split.cost, 2.0);
}

TEST(SplitBudget, NegativeLossesAreTaken) {
  const ChoiceGroup group{{{{1, 0.0}, {2, -1.0}}, {{1, 0.0}, {2, 1.0}}}};
  EXPECT_EQ(split_budget({group}, 10.0).chosen, (std::vector<std::vector<int64_t>>{{1, 0}}));
}

}  // namespace
}  // namespace sparsescope
