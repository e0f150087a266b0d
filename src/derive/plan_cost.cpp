#include "derive/plan_cost.h"

#include <algorithm>
#include <map>
#include <vector>

#include "core/error.h"

namespace sparsescope {
namespace {

using SitesOfRule = std::map<const PlanRule*, int64_t>;

void check_model(const Plan& plan, const TransformerShape& shape) {
  const Plan::Model& model = plan.model;
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    shape.layers == model.layers && shape.heads == model.heads &&
                        shape.head_dim == model.head_dim,
                    "plan: expected a model of {} layers, {} heads and head dim {}, found one of "
                    "{}, {} and {}",
                    model.layers, model.heads, model.head_dim, shape.layers, shape.heads,
                    shape.head_dim);
}

bool holds(const std::vector<int64_t>& indices, int64_t index) {
  return std::find(indices.begin(), indices.end(), index) != indices.end();
}

// The sites at which Plan::rule_for finds each rule. Step by step, later rules over earlier ones:
// plans by head and step have as many rules as sites, so that no site may search all of them.
SitesOfRule count_sites(const Plan& plan) {
  const int64_t layers = plan.model.layers, heads = plan.model.heads;
  std::vector<const PlanRule*> in_force(static_cast<size_t>(layers * heads));
  SitesOfRule sites;
  for (int64_t step = 0; step < plan.num_steps; ++step) {
    if (holds(plan.dense_steps, step)) continue;
    std::fill(in_force.begin(), in_force.end(), nullptr);
    for (const PlanRule& rule : plan.rules) {
      if (!rule.steps.contains(step)) continue;
      const int64_t last_head = std::min(rule.heads.last, heads - 1);
      for (int64_t l = rule.layers.first; l <= std::min(rule.layers.last, layers - 1); ++l) {
        const auto row = in_force.begin() + l * heads;
        if (rule.heads.first <= last_head) {
          std::fill(row + rule.heads.first, row + last_head + 1, &rule);
        }
      }
    }
    for (int64_t layer = 0; layer < layers; ++layer) {
      if (holds(plan.dense_layers, layer)) continue;
      for (int64_t head = 0; head < heads; ++head) {
        const PlanRule* rule = in_force[static_cast<size_t>(layer * heads + head)];
        if (rule != nullptr) ++sites[rule];
      }
    }
  }
  return sites;
}

double num_tiles(const Plan& plan) {
  return static_cast<double>(TileGrid(plan.grid, plan.tile).num_tiles());
}

double num_blocks(const Plan& plan, const VmobaParams& params) {
  return static_cast<double>(partition_blocks(params.partition, plan.grid).num_tiles());
}

// Of a setting that fixes it.
std::optional<double> fixed_density(const Plan& plan, const MethodParams& params) {
  if (const auto* vsa = std::get_if<VsaParams>(&params)) {
    return std::min(1.0, static_cast<double>(vsa->top_k) / num_tiles(plan));
  }
  const auto* vmoba = std::get_if<VmobaParams>(&params);
  if (vmoba == nullptr || vmoba->select != VmobaSelect::kTopK) return std::nullopt;
  return std::min(1.0, static_cast<double>(vmoba->top_k) / num_blocks(plan, *vmoba));
}

HeadShape head_shape(const Plan& plan, const TransformerShape& shape) {
  return {static_cast<double>(plan.grid.tokens()), static_cast<double>(shape.head_dim)};
}

// Of the sites whose setting does not fix it, so that the mean over all sites is as stated.
double free_density(const Plan& plan, const SitesOfRule& sites, int64_t all_sites,
                    std::optional<double> stated) {
  double free_sites = 0.0;
  double known = static_cast<double>(all_sites);  // sum of densities elsewhere
  for (const auto& [rule, count] : sites) {
    const auto number = static_cast<double>(count);
    const std::optional<double> fixed = fixed_density(plan, rule->params);
    known -= number * (1.0 - fixed.value_or(0.0));
    if (!fixed) free_sites += number;
  }
  if (free_sites == 0.0) return 0.0;
  if (!stated && plan.expected_density) stated = plan.expected_density->mean;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, stated,
                    "plan: expected a density (the cut-off or threshold of {} of {} sites does not "
                    "fix it), found none",
                    free_sites, all_sites);
  constexpr double kRounding = 1e-9;
  const double density = (*stated * static_cast<double>(all_sites) - known) / free_sites;
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, density >= -kRounding && density <= 1.0 + kRounding,
      "plan: expected a mean density from {} to {}, which leaves 0 to 1 for the sites "
      "that cut off by score, found {}",
      known / static_cast<double>(all_sites), (known + free_sites) / static_cast<double>(all_sites),
      *stated);
  return std::clamp(density, 0.0, 1.0);
}

}  // namespace

PlanCost plan_cost(const Plan& plan, const TransformerShape& shape, std::optional<double> density) {
  check_model(plan, shape);
  const ForwardCost forward = forward_cost(shape, plan.grid);
  const HeadShape head = head_shape(plan, shape);
  const SitesOfRule sites = count_sites(plan);

  PlanCost cost;
  cost.sites = plan.num_steps * shape.layers * shape.heads;
  cost.rest_flops = static_cast<double>(plan.num_steps) * forward.rest_flops;
  cost.dense = static_cast<double>(cost.sites) * dense_attention_cost(head);
  const double free = free_density(plan, sites, cost.sites, density);
  double skipped = 0.0;  // sum of 1 - density
  for (const auto& [rule, count] : sites) {
    const auto number = static_cast<double>(count);
    const double rule_density = fixed_density(plan, rule->params).value_or(free);
    cost.planned += number * setting_cost(plan, shape, rule->params, rule_density);
    cost.sparse_sites += count;
    skipped += number * (1.0 - rule_density);
  }
  cost.planned += static_cast<double>(cost.sites - cost.sparse_sites) * dense_attention_cost(head);
  if (cost.sites > 0) cost.density = 1.0 - skipped / static_cast<double>(cost.sites);
  return cost;
}

AttentionCost setting_cost(const Plan& plan, const TransformerShape& shape,
                           const MethodParams& params, double density) {
  const HeadShape head = head_shape(plan, shape);
  if (const auto* vmoba = std::get_if<VmobaParams>(&params)) {
    return vmoba_attention_cost(head, density, num_blocks(plan, *vmoba));
  }
  if (const auto* bsa = std::get_if<BsaParams>(&params)) {
    return bsa_attention_cost(head, density, num_tiles(plan), bsa->query_keep);
  }
  const double gate_width = shape.vsa_gate ? static_cast<double>(shape.width()) : 0.0;
  return vsa_attention_cost(head, density, num_tiles(plan), gate_width);
}

int64_t num_sparse_sites(const Plan& plan) {
  int64_t sum = 0;
  for (const auto& [rule, count] : count_sites(plan)) sum += count;
  return sum;
}

}  // namespace sparsescope
