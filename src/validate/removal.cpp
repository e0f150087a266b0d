#include "validate/removal.h"

#include <sstream>

#include "core/error.h"

namespace sparsescope {
namespace {

Plan in_unit_alone(const Plan& plan, IndexRange PlanRule::*units, int64_t unit) {
  Plan alone = plan;
  alone.rules.clear();
  for (PlanRule rule : plan.rules) {
    if (!(rule.*units).contains(unit)) continue;
    rule.*units = {unit, unit};
    alone.rules.push_back(rule);
  }
  return alone;
}

}  // namespace

RemovalUnits parse_removal(const std::string& text) {
  RemovalUnits units;
  std::istringstream pieces(text);
  for (std::string piece; std::getline(pieces, piece, ',');) {
    bool& unit = piece == "layers" ? units.layers : units.steps;
    SPARSESCOPE_CHECK(ErrorKind::kUsage, (piece == "layers" || piece == "steps") && !unit,
                      "--removal: expected layers, steps or layers,steps, found '{}'", text);
    unit = true;
  }
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !text.ends_with(','),
                    "--removal: expected layers, steps or layers,steps, found '{}'", text);
  return units;
}

std::string to_string(const RemovalUnits& units) {
  if (units.layers && units.steps) return "layers,steps";
  return units.layers ? "layers" : units.steps ? "steps" : "";
}

Plan in_layer_alone(const Plan& plan, int64_t layer) {
  return in_unit_alone(plan, &PlanRule::layers, layer);
}

Plan in_step_alone(const Plan& plan, int64_t step) {
  return in_unit_alone(plan, &PlanRule::steps, step);
}

}  // namespace sparsescope
