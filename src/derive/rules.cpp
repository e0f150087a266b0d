#include "derive/rules.h"

namespace sparsescope {
namespace {

// Joins consecutive rules that differ in one axis only, and there follow on each other.
std::vector<PlanRule> join_along(IndexRange PlanRule::*axis, const std::vector<PlanRule>& rules) {
  std::vector<PlanRule> result;
  for (const PlanRule& rule : rules) {
    if (!result.empty()) {
      PlanRule& last = result.back();
      PlanRule joined = rule;
      joined.*axis = last.*axis;
      const bool same_elsewhere = joined.steps == last.steps && joined.layers == last.layers &&
                                  joined.heads == last.heads && joined.params == last.params;
      if (same_elsewhere && (last.*axis).last + 1 == (rule.*axis).first) {
        (last.*axis).last = (rule.*axis).last;
        continue;
      }
    }
    result.push_back(rule);
  }
  return result;
}

}  // namespace

std::vector<PlanRule> make_rules(const UnitGrid& grid, const Allocation& allocation) {
  std::vector<PlanRule> rules;
  for (size_t unit = 0; unit < grid.units().size(); ++unit) {
    if (!allocation.settings[unit]) continue;
    const Unit& ranges = grid.units()[unit];
    rules.push_back({ranges.steps, ranges.layers, ranges.heads, allocation.settings[unit]->params});
  }
  return join_rules(std::move(rules));
}

std::vector<PlanRule> join_rules(std::vector<PlanRule> rules) {
  rules = join_along(&PlanRule::steps, rules);
  rules = join_along(&PlanRule::heads, rules);
  return join_along(&PlanRule::layers, rules);
}

}  // namespace sparsescope
