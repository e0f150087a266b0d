#include "derive/units.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {
namespace {

// Whether each step begins a part: by step one part around every recorded step, else one for each
// expert. A part ends half-way to the next recorded step.
std::vector<bool> part_starts(const Profile& profile, bool by_step) {
  const std::vector<int64_t> recorded = recorded_steps(profile);
  SPARSESCOPE_CHECK(ErrorKind::kData, !recorded.empty(),
                    "profile: expected recorded sites, found none");
  std::vector<bool> starts(static_cast<size_t>(profile.steps), false);
  starts.front() = true;
  for (int64_t step = 1; step < profile.steps; ++step) {
    if (profile.expert_of(step) != profile.expert_of(step - 1)) {
      starts[static_cast<size_t>(step)] = true;
    }
  }
  for (size_t i = 1; by_step && i < recorded.size(); ++i) {
    if (profile.expert_of(recorded[i]) != profile.expert_of(recorded[i - 1])) continue;
    starts[static_cast<size_t>((recorded[i - 1] + recorded[i]) / 2 + 1)] = true;
  }
  return starts;
}

}  // namespace

double DenseSites::share() const {
  const auto sparse_share = [](const std::vector<bool>& dense) {
    return static_cast<double>(std::count(dense.begin(), dense.end(), false)) /
           static_cast<double>(dense.size());
  };
  return 1.0 - sparse_share(steps) * sparse_share(layers);
}

UnitGrid::UnitGrid(const Profile& profile, Granularity per)
    : split_layers_(per != Granularity::kModel),
      split_heads_(per == Granularity::kHead || per == Granularity::kHeadStep),
      head_parts_(split_heads_ ? profile.heads : 1) {
  const std::vector<bool> starts = part_starts(profile, per == Granularity::kHeadStep);
  std::vector<IndexRange> parts;
  for (int64_t step = 0; step < profile.steps; ++step) {
    const int64_t expert = profile.expert_of(step);
    if (starts[static_cast<size_t>(step)]) {
      parts.push_back({step, step});
      ++step_parts_[expert];
    }
    parts.back().last = step;
    experts_.push_back(expert);
    part_of_step_.push_back(step_parts_[expert] - 1);
  }
  // Noise falls from step to step: the parts of an expert follow each other.
  const std::span<const IndexRange> all = parts;
  add_units(profile, all.first(step_parts_[0]));
  first_unit_[1] = units_.size();
  add_units(profile, all.subspan(step_parts_[0]));
}

// All of one expert; nothing where it runs no step.
void UnitGrid::add_units(const Profile& profile, std::span<const IndexRange> parts) {
  if (parts.empty()) return;
  for (int64_t layer = 0; layer < (split_layers_ ? profile.layers : 1); ++layer) {
    groups_.push_back({units_.size(), static_cast<size_t>(head_parts_) * parts.size()});
    for (int64_t head = 0; head < head_parts_; ++head) {
      for (const IndexRange& steps : parts) {
        Unit unit;
        unit.steps = steps;
        unit.layers = split_layers_ ? IndexRange{layer, layer} : IndexRange{0, profile.layers - 1};
        unit.heads = split_heads_ ? IndexRange{head, head} : IndexRange{0, profile.heads - 1};
        units_.push_back(unit);
      }
    }
  }
}

size_t UnitGrid::unit_of(int64_t step, int64_t layer, int64_t head) const {
  const int64_t layer_part = split_layers_ ? layer : 0;
  const int64_t head_part = split_heads_ ? head : 0;
  const int64_t expert = expert_of(step);
  return first_unit_[expert] +
         static_cast<size_t>(layer_part * head_parts_ + head_part) * step_parts_[expert] +
         part_of_step_[static_cast<size_t>(step)];
}

std::vector<bool> layers_without_records(const Profile& profile) {
  std::vector<bool> missing(static_cast<size_t>(profile.layers), true);
  const int64_t calls = profile.prompts * profile.branches * profile.steps;
  for (int64_t call = 0; call < calls; ++call) {
    for (int64_t layer = 0; layer < profile.layers; ++layer) {
      if (profile.recorded[static_cast<size_t>(call * profile.layers + layer)] != 0) {
        missing[static_cast<size_t>(layer)] = false;
      }
    }
  }
  return missing;
}

void for_each_sparse_site(const Profile& profile, const DenseSites& dense,
                          const std::function<void(const ProfileSite&)>& visit) {
  for (int64_t prompt = 0; prompt < profile.prompts; ++prompt) {
    for (int64_t branch = 0; branch < profile.branches; ++branch) {
      for (int64_t step = 0; step < profile.steps; ++step) {
        for (int64_t layer = 0; layer < profile.layers; ++layer) {
          if (dense.contains(step, layer) || !profile.is_recorded(prompt, branch, step, layer)) {
            continue;
          }
          for (int64_t head = 0; head < profile.heads; ++head) {
            visit({prompt, branch, step, layer, head});
          }
        }
      }
    }
  }
}

std::vector<UnitSample> sample_units(const Profile& profile, const MethodCurves& curves,
                                     const UnitGrid& grid, const DenseSites& dense) {
  const size_t num_units = grid.units().size();
  const auto at = [&](const ProfileSite& site) {
    return grid.unit_of(site.step, site.layer, site.head);
  };
  std::vector<int64_t> sites(static_cast<size_t>(profile.prompts) * num_units, 0);
  std::vector<int64_t> prompts(num_units, 0);  // that recorded sites of the unit
  for_each_sparse_site(profile, dense, [&](const ProfileSite& site) {
    int64_t& count = sites[static_cast<size_t>(site.prompt) * num_units + at(site)];
    if (count++ == 0) ++prompts[at(site)];
  });

  std::vector<UnitSample> result(num_units);
  std::vector<double> sample(curves.sample_size());
  for_each_sparse_site(profile, dense, [&](const ProfileSite& site) {
    const size_t unit = at(site);
    const int64_t count = sites[static_cast<size_t>(site.prompt) * num_units + unit];
    const double weight = 1.0 / static_cast<double>(count * prompts[unit]);
    std::vector<double>& mean = result[unit].sample;
    mean.resize(sample.size());
    curves.read_sample(site, sample);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += weight * sample[i];
  });
  for (int64_t step = 0; step < profile.steps; ++step) {
    for (int64_t layer = 0; layer < profile.layers; ++layer) {
      if (dense.contains(step, layer)) continue;
      for (int64_t head = 0; head < profile.heads; ++head) {
        ++result[grid.unit_of(step, layer, head)].sparse_sites;
      }
    }
  }
  return result;
}

}  // namespace sparsescope
