// What a plan's sampling costs on its grid: all steps, layers and heads of one guidance branch,
// beside the same with dense attention. From shapes and settings alone; nothing is measured.
#pragma once

#include <optional>

#include "model/cost_attention.h"
#include "plan/plan.h"

namespace sparsescope {

struct PlanCost {
  int64_t sites = 0;         // steps x layers x heads
  int64_t sparse_sites = 0;  // those that a rule governs
  double density = 1;        // mean over all sites, dense ones as 1
  AttentionCost dense;       // attention if every site were dense
  AttentionCost planned;     // attention by the plan, selection apart within it
  double rest_flops = 0;     // everything but attention

  double attention_speedup() const { return dense.attention / planned.total_flops(); }
  double dense_flops() const { return rest_flops + dense.attention; }
  double planned_flops() const { return rest_flops + planned.total_flops(); }
  double speedup() const { return dense_flops() / planned_flops(); }  // a bound, at equal FLOP/s
};

// The density of VSA (top-k over tiles) and of VMoBA's top-k (k over blocks) follows from the
// setting: a mean over tiles of the grid's edges, too, if small ones are chosen as often. That of
// BSA's cut-off and of VMoBA's thresholds does not: such sites share what brings the mean over all
// sites, dense ones as 1, to `density`; without it, to the plan's expected density. Every cost is
// linear in the density, so that it makes no difference how they share it.
// Error(kUsage) where neither is there, the shape is not the plan's model, or the mean cannot be
// reached.
PlanCost plan_cost(const Plan& plan, const TransformerShape& shape,
                   std::optional<double> density = std::nullopt);

// One head of one call by a setting on the plan's grid and tiles. Linear in the density.
AttentionCost setting_cost(const Plan& plan, const TransformerShape& shape,
                           const MethodParams& params, double density);
// Sites that a rule governs, of steps x layers x heads.
int64_t num_sparse_sites(const Plan& plan);

}  // namespace sparsescope
