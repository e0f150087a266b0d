// How a plan is cut into units that each have one setting, and which sites of the profile stand
// behind each of them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
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

// Units that share VMoBA's partition: those of one layer (of all layers, by model) and expert.
struct UnitGroup {
  size_t first = 0, count = 0;
};

class UnitGrid {
 public:
  // Two experts share no unit, whatever `per`. By head and step, a step that was not recorded
  // belongs to the nearest recorded one of its expert (the earlier of two): each step range holds
  // exactly one recorded step, or all steps of an expert of which none was recorded.
  UnitGrid(const Profile& profile, Granularity per);

  // By expert, then layer, then head, then step.
  const std::vector<Unit>& units() const { return units_; }
  const std::vector<UnitGroup>& groups() const { return groups_; }  // in the order of units
  size_t unit_of(int64_t step, int64_t layer, int64_t head) const;
  int64_t expert_of(int64_t step) const { return experts_[static_cast<size_t>(step)]; }

 private:
  void add_units(const Profile& profile, std::span<const IndexRange> parts);

  bool split_layers_, split_heads_;
  std::vector<int64_t> experts_;      // [steps]
  std::vector<size_t> part_of_step_;  // [steps] among the parts of its expert
  std::vector<Unit> units_;
  std::vector<UnitGroup> groups_;
  size_t first_unit_[2] = {0, 0};  // of each expert
  size_t step_parts_[2] = {0, 0};
  int64_t head_parts_;
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
