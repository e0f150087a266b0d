#include "export/expert_plans.h"

#include <algorithm>

#include "core/error.h"
#include "model/experts.h"

namespace sparsescope {
namespace {

IndexRange steps_of_expert(const Plan& plan, int64_t expert) {
  const int64_t boundary = *plan.model.low_noise_from_step;
  return expert == kHighNoise ? IndexRange{0, boundary - 1}
                              : IndexRange{boundary, plan.num_steps - 1};
}

}  // namespace

bool runs_two_experts(const Plan& plan) {
  const std::optional<int64_t>& boundary = plan.model.low_noise_from_step;
  return boundary && *boundary > 0 && *boundary < plan.num_steps;
}

Plan plan_of_expert(const Plan& plan, int64_t expert) {
  SPARSESCOPE_ASSERT(runs_two_experts(plan));
  const IndexRange own = steps_of_expert(plan, expert);
  Plan result = plan;
  result.model.low_noise_from_step.reset();
  result.num_steps = own.last - own.first + 1;
  result.expected_density = result.expected_recall = result.expected_error = std::nullopt;
  result.dense_steps.clear();
  for (const int64_t step : plan.dense_steps) {
    if (own.contains(step)) result.dense_steps.push_back(step - own.first);
  }
  result.rules.clear();
  for (PlanRule rule : plan.rules) {
    rule.steps = {std::max(rule.steps.first, own.first) - own.first,
                  std::min(rule.steps.last, own.last) - own.first};
    if (rule.steps.first <= rule.steps.last) result.rules.push_back(rule);
  }
  return result;
}

std::filesystem::path path_of_expert(const std::filesystem::path& path, int64_t expert) {
  std::filesystem::path result = path;
  result.replace_filename(path.stem().string() + "." + name_of_expert(expert) +
                          path.extension().string());
  return result;
}

const char* name_of_expert(int64_t expert) {
  return expert == kHighNoise ? "transformer" : "transformer_2";
}

}  // namespace sparsescope
