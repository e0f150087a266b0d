// One number per (step, layer, head) of a plan, and how it shrinks to what a format tells apart:
// values that are merged become their largest, so that quality does not drop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace sparsescope {

// The rule in force at every site; one pass over the rules, however many there are.
class PlanSites {
 public:
  explicit PlanSites(const Plan& plan);
  const MethodParams* at(int64_t step, int64_t layer, int64_t head) const;  // nullptr: dense
  bool dense_step(int64_t step) const;  // at all layers and heads
  int64_t dense_prefix() const;         // leading dense steps

 private:
  const Plan& plan_;
  std::vector<const MethodParams*> params_;  // [steps, layers, heads]
};

enum class SiteAxis { kSteps, kLayers, kHeads };

struct SiteValues {
  int64_t steps = 1, layers = 1, heads = 1;
  std::string label;           // of a value, in messages: "top-k", "tau"
  double dense = 0;            // the value that stands for dense attention
  std::vector<double> values;  // [steps, layers, heads]; NaN: not counted

  double& at(int64_t step, int64_t layer, int64_t head) {
    return values[static_cast<size_t>((step * layers + layer) * heads + head)];
  }
  double at(int64_t step, int64_t layer, int64_t head) const {
    return values[static_cast<size_t>((step * layers + layer) * heads + head)];
  }
};

// Error(kUsage) for baselines, whose choice of tiles is not the method's.
void check_pooled(const VsaParams& vsa, const std::string& format);
// Key tiles of a VSA plan of pooled choices, all N where it is dense. Error(kUsage) for other methods; format names
// the one asked for.
SiteValues vsa_budgets(const Plan& plan, const std::string& format);
// The axis shrinks to its largest values. Where they differ, changes says so, with an example.
SiteValues merge_axis(const SiteValues& values, SiteAxis axis, std::vector<std::string>& changes);
// All three axes: the one number of a format that tells nothing apart.
double merge_all(const SiteValues& values, std::vector<std::string>& changes);

// "0-3,7"
std::string ranges_text(const std::vector<int64_t>& indices);

}  // namespace sparsescope
