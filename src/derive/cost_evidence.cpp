#include "derive/cost_evidence.h"

#include "derive/plan_cost.h"

namespace sparsescope {
namespace {

// The feed-forward width where the profile holds the checkpoint's config.
std::optional<int64_t> ffn_dim(const Profile& profile) {
  const Json::json_pointer place("/config/ffn_dim");
  if (!profile.manifest.contains(place)) return std::nullopt;
  const Json& value = profile.manifest.at(place);
  return value.is_number_integer() ? std::optional(value.get<int64_t>()) : std::nullopt;
}

// Of all steps, layers and heads, one guidance branch, at the mean densities of the profile.
AttentionCost planned_attention(const Plan& plan, const TransformerShape& shape,
                                const PlanParts& parts, const AttentionCost& dense_site) {
  auto dense_sites = static_cast<double>(plan.num_steps * shape.layers * shape.heads);
  AttentionCost sum;
  for (size_t unit = 0; unit < parts.samples.size(); ++unit) {
    const std::optional<Setting>& setting = parts.allocation.settings[unit];
    if (!setting) continue;
    const auto sites = static_cast<double>(parts.samples[unit].sparse_sites);
    sum += sites * setting_cost(plan, shape, setting->params, setting->point.density);
    dense_sites -= sites;
  }
  sum += dense_sites * dense_site;
  return sum;
}

Json flops_json(const Plan& plan, const PlanParts& parts) {
  const std::optional<int64_t> ffn = ffn_dim(parts.profile);
  const TransformerShape shape{.layers = plan.model.layers,
                               .heads = plan.model.heads,
                               .head_dim = plan.model.head_dim,
                               .ffn_dim = ffn.value_or(0)};
  const AttentionCost dense_site = dense_attention_cost(
      {static_cast<double>(plan.grid.tokens()), static_cast<double>(shape.head_dim)});
  const AttentionCost planned = planned_attention(plan, shape, parts, dense_site);
  const auto sites = static_cast<double>(plan.num_steps * shape.layers * shape.heads);
  const double dense = sites * dense_site.attention;
  Json json = {{"attention_dense", dense},
               {"attention_planned", planned.total_flops()},
               {"selection", planned.selection_flops()},
               {"attention_speedup", dense / planned.total_flops()}};
  if (ffn) {
    const ForwardCost forward = forward_cost(shape, plan.grid);
    const double rest = static_cast<double>(plan.num_steps) * forward.rest_flops;
    json["text_rows"] = shape.text_rows;
    json["dense"] = dense + rest;
    json["planned"] = planned.total_flops() + rest;
    json["speedup"] = (dense + rest) / (planned.total_flops() + rest);
  }
  return json;
}

Json time_json(const Expectation& expected, const KernelCosts& costs) {
  return {{"attention_share", 1.0 / expected.speedup->mean},
          {"share_of_prompt", expected.time_of_prompt},
          {"attention_speedup", expected.speedup->mean},
          {"measured_on", costs.machine},
          {"threads", costs.threads},
          {"dtype", costs.dtype},
          {"inputs", costs.inputs}};
}

}  // namespace

Json cost_evidence(const Plan& plan, const PlanParts& parts, const Expectation& expected,
                   const KernelCosts* costs) {
  return {{"flops", flops_json(plan, parts)},
          {"time", costs != nullptr ? time_json(expected, *costs) : Json()}};
}

}  // namespace sparsescope
