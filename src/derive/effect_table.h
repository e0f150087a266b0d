// What each candidate setting does to the model's output at every site whose effects a profile
// holds: the change of the output's squared relative error when one head takes the setting.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "derive/candidates.h"
#include "stats/profile.h"

namespace sparsescope {

// One forward pass.
struct EffectSite {
  int64_t prompt = 0, branch = 0, step = 0;
  double loss = 0.0;           // squared relative error of the output with the plan in force
  std::vector<float> changes;  // [layers, heads, candidates + 1], the last one: dense attention
};

struct EffectTable {
  int64_t layers = 0, heads = 0, candidates = 0;
  bool around_plan = false;  // false: around dense attention, where every loss is 0
  std::vector<EffectSite> sites;

  std::span<const float> changes(const EffectSite& site, int64_t layer, int64_t head) const {
    const int64_t width = candidates + 1;
    return std::span(site.changes).subspan((layer * heads + head) * width, width);
  }
};

// Whether the profile holds effects of this method.
bool has_effects(const Profile& profile, Method method);

// Sites where some layer lacks them are left out. Values between measured f and kappa are linear.
EffectTable read_effects(const Profile& profile, Method method,
                         std::span<const Candidate> candidates);

}  // namespace sparsescope
