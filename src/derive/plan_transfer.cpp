#include "derive/plan_transfer.h"

#include "core/error.h"
#include "derive/derive.h"
#include "derive/plan_points.h"
#include "model/experts.h"
#include "plan/carry_over.h"

namespace sparsescope {
namespace {

PlanOutcome outcome_of(std::vector<OperatingPoint> points, double confidence) {
  std::vector<double> densities, recalls;
  for (const OperatingPoint& point : points) {
    densities.push_back(point.density);
    recalls.push_back(point.recall);
  }
  PlanOutcome outcome{.mean = {mean_of(densities), mean_of(recalls)},
                      .of_prompt = std::move(points)};
  if (outcome.of_prompt.size() >= 2) {
    outcome.density = mean_interval(densities, confidence);
    outcome.recall = mean_interval(recalls, confidence);
  }
  return outcome;
}

std::optional<Granularity> granularity_of(const Plan& plan) {
  const Json::json_pointer place("/derivation/per");
  if (!plan.evidence.contains(place)) return std::nullopt;
  return parse_granularity(plan.evidence.at(place).get<std::string>());
}

}  // namespace

PlanTransfer transfer_plan(const Profile& a, const Profile& b, const Plan& plan,
                           double confidence) {
  PlanTransfer transfer;
  transfer.on_a = outcome_of(plan_points(a, plan), confidence);
  transfer.carried =
      carry_over(plan, b.grid, b.steps,
                 b.expert.empty() ? std::nullopt : std::optional(first_low_noise_step(b.expert)));
  transfer.on_b = outcome_of(plan_points(b, transfer.carried), confidence);
  const std::optional<Granularity> per = granularity_of(plan);
  if (!per) {
    transfer.why_no_own = "the plan was not derived from a profile";
    return transfer;
  }
  // Only plans weighed by effect foretell an error.
  const DeriveOptions options{
      .method = plan.method,
      .target = {TargetKind::kDensity, transfer.on_b.mean.density},
      .per = *per,
      .weighing = plan.expected_error ? Weighing::kEffect : Weighing::kRecall,
      .confidence = confidence};
  try {
    transfer.own = outcome_of(plan_points(b, derive_plan(b, options)), confidence);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    transfer.why_no_own = error.what();  // B measured no effects
  }
  return transfer;
}

}  // namespace sparsescope
