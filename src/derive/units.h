// How a plan is cut into units that each have one setting, and which sites of the profile stand
// behind each of them.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "derive/derive.h"
#include "derive/method_curves.h"

namespace sparsescope {

// Which (step, layer) run dense whatever the rules say.
struct DenseSites {
  std::vector<bool> steps;   // [steps]
  std::vector<bool> layers;  // [layers]
  bool contains(int64_t step, int64_t layer) const {
    return steps[static_cast<size_t>(step)] || layers[static_cast<size_t>(layer)];
  }
  double share() const;  // of all sites
};

struct Unit {
  IndexRange steps, layers, heads;
};

class UnitGrid {
 public:
  // By head and step, a step that was not recorded belongs to the nearest recorded one (the earlier
  // of two): each step range holds exactly one recorded step.
  UnitGrid(const Profile& profile, Granularity per);

  const std::vector<Unit>& units() const { return units_; }  // by layer, then head, then step
  size_t units_per_layer_part() const { return units_per_layer_part_; }
  size_t unit_of(int64_t step, int64_t layer, int64_t head) const;

 private:
  bool split_layers_, split_heads_;
  std::vector<size_t> part_of_step_;  // [steps]
  size_t step_parts_ = 1;
  int64_t head_parts_ = 1;
  size_t units_per_layer_part_ = 1;
  std::vector<Unit> units_;
};

// The recorded sites outside dense, prompt by prompt.
void for_each_sparse_site(const Profile& profile, const DenseSites& dense,
                          const std::function<void(const ProfileSite&)>& visit);

// Layers of which no site was recorded: nothing is known of them.
std::vector<bool> layers_without_records(const Profile& profile);

// The samples of a unit averaged over its recorded sparse sites, and the number of (step, layer,
// head) it covers outside dense, steps that were not recorded included.
struct UnitSample {
  std::vector<double> sample;  // empty where the unit has no recorded sparse site: it stays dense
  int64_t sparse_sites = 0;
};
// Prompts weigh equally; so do the recorded sites of a prompt.
std::vector<UnitSample> sample_units(const Profile& profile, const MethodCurves& curves,
                                     const UnitGrid& grid, const DenseSites& dense);

}  // namespace sparsescope
