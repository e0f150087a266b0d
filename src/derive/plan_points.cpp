#include "derive/plan_points.h"

#include <algorithm>

#include "core/error.h"
#include "derive/candidates.h"
#include "derive/units.h"
#include "model/experts.h"

namespace sparsescope {
namespace {

void check_fits(const Profile& profile, const Plan& plan) {
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    profile.grid == plan.grid && profile.tile == plan.tile &&
                        profile.steps == plan.num_steps && profile.layers == plan.model.layers &&
                        profile.heads == plan.model.heads,
                    "profile: expected the plan's grid {}, tile {}, {} steps, {} layers and {} "
                    "heads, found {}, {}, {}, {} and {}",
                    to_string(plan.grid), to_string(plan.tile), plan.num_steps, plan.model.layers,
                    plan.model.heads, to_string(profile.grid), to_string(profile.tile),
                    profile.steps, profile.layers, profile.heads);
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    profile.expert.empty() || !plan.model.low_noise_from_step ||
                        first_low_noise_step(profile.expert) == *plan.model.low_noise_from_step,
                    "profile: expected the low-noise expert from the plan's step {} on, found {}",
                    plan.model.low_noise_from_step.value_or(0),
                    first_low_noise_step(profile.expert));
  if (plan.method != Method::kVmoba) return;
  const std::vector<Partition> measured = measured_partitions(profile);
  for (const PlanRule& rule : plan.rules) {
    const Partition& wanted = std::get<VmobaParams>(rule.params).partition;
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      std::find(measured.begin(), measured.end(), wanted) != measured.end(),
                      "profile: expected the plan's partition {} among those measured "
                      "(profile --partitions)",
                      to_string(wanted));
  }
}

// Of baselines, all rules choose tiles by the same.
TileChoice choice_of(const Plan& plan) {
  if (plan.method != Method::kVsa || plan.rules.empty()) return TileChoice::kPooled;
  return std::get<VsaParams>(plan.rules.front().params).choice;
}

}  // namespace

std::vector<OperatingPoint> plan_points(const Profile& profile, const Plan& plan) {
  check_fits(profile, plan);
  const auto curves = plan.method == Method::kVsa
                          ? make_vsa_curves(profile, choice_of(plan))
                          : make_method_curves(profile, plan.method, /*all_heads=*/true);
  const DenseSites none{std::vector<bool>(static_cast<size_t>(profile.steps)),
                        std::vector<bool>(static_cast<size_t>(profile.layers))};
  std::vector<OperatingPoint> sums(static_cast<size_t>(profile.prompts), {0.0, 0.0});
  std::vector<double> sites(sums.size());
  std::vector<double> sample(curves->sample_size());
  for_each_sparse_site(profile, none, [&](const ProfileSite& site) {
    OperatingPoint point;  // dense
    if (const PlanRule* rule = plan.rule_for(site.step, site.layer, site.head)) {
      curves->read_sample(site, sample);
      point = curves->evaluate(sample, rule->params);
    }
    const auto prompt = static_cast<size_t>(site.prompt);
    sums[prompt].density += point.density;
    sums[prompt].recall += point.recall;
    sites[prompt] += 1.0;
  });
  std::vector<OperatingPoint> points;
  for (const int64_t prompt : recorded_prompts(profile)) {
    const auto p = static_cast<size_t>(prompt);
    points.push_back({sums[p].density / sites[p], sums[p].recall / sites[p]});
  }
  return points;
}

}  // namespace sparsescope
