#include "derive/units.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace sparsescope {
namespace {

// The part of each step: the nearest recorded one.
std::vector<size_t> nearest_recorded(const Profile& profile) {
  const std::vector<int64_t> recorded = recorded_steps(profile);
  SPARSESCOPE_CHECK(ErrorKind::kData, !recorded.empty(),
                    "profile: expected recorded sites, found none");
  std::vector<size_t> result;
  size_t part = 0;
  for (int64_t step = 0; step < profile.steps; ++step) {
    while (part + 1 < recorded.size() &&
           recorded[part + 1] - step < std::abs(step - recorded[part])) {
      ++part;
    }
    result.push_back(part);
  }
  return result;
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
      part_of_step_(static_cast<size_t>(profile.steps), 0),
      head_parts_(split_heads_ ? profile.heads : 1) {
  if (per == Granularity::kHeadStep) part_of_step_ = nearest_recorded(profile);
  step_parts_ = part_of_step_.back() + 1;
  units_per_layer_part_ = static_cast<size_t>(head_parts_) * step_parts_;
  for (int64_t layer = 0; layer < (split_layers_ ? profile.layers : 1); ++layer) {
    for (int64_t head = 0; head < head_parts_; ++head) {
      for (size_t part = 0; part < step_parts_; ++part) {
        const auto [first, end] =
            std::equal_range(part_of_step_.begin(), part_of_step_.end(), part);
        Unit unit;
        unit.steps = {first - part_of_step_.begin(), end - part_of_step_.begin() - 1};
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
  return static_cast<size_t>(layer_part * head_parts_ + head_part) * step_parts_ +
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
