// Profiles with known curves: a site's statistics are given as plain functions.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "derive/derive.h"
#include "derive/method_curves.h"
#include "stats/profile.h"

namespace sparsescope::testing {

struct ProfileShape {
  TokenGrid grid{4, 16, 16};  // with tiles of 4,4,4: 16 full tiles
  int64_t prompts = 1, branches = 1, steps = 2, layers = 2, heads = 2;
};

inline Profile make_profile(const ProfileShape& shape) {
  Profile profile;
  profile.manifest = {{"family", "wan"}, {"head_dim", 64}, {"checkpoint_hash", "abc"}};
  profile.grid = shape.grid;
  profile.tile = {4, 4, 4};
  profile.prompts = shape.prompts;
  profile.branches = shape.branches;
  profile.steps = shape.steps;
  profile.layers = shape.layers;
  profile.heads = shape.heads;
  const int64_t calls = shape.prompts * shape.branches * shape.steps * shape.layers;
  profile.recorded.assign(static_cast<size_t>(calls), 1);
  return profile;
}

// VSA, nothing dense.
inline DeriveOptions options_for(TargetKind kind, double value, Granularity per) {
  DeriveOptions options;
  options.target = {kind, value};
  options.per = per;
  options.dense_first_steps = 0;
  options.dense_layers = std::vector<int64_t>{};
  return options;
}

// One value of a site: index runs over the statistic's own axes.
using SiteFunction = std::function<double(const ProfileSite& site, size_t index)>;

inline void add_statistic(Profile& profile, const std::string& name, size_t count,
                          const SiteFunction& value) {
  ProfileArray array;
  array.axes = {"prompt", "branch", "step", "layer", "head", "value"};
  array.shape = {profile.prompts, profile.branches, profile.steps,
                 profile.layers,  profile.heads,    static_cast<int64_t>(count)};
  for (int64_t prompt = 0; prompt < profile.prompts; ++prompt) {
    for (int64_t branch = 0; branch < profile.branches; ++branch) {
      for (int64_t step = 0; step < profile.steps; ++step) {
        for (int64_t layer = 0; layer < profile.layers; ++layer) {
          for (int64_t head = 0; head < profile.heads; ++head) {
            const bool recorded = profile.is_recorded(prompt, branch, step, layer);
            for (size_t i = 0; i < count; ++i) {
              const double number =
                  recorded ? value({prompt, branch, step, layer, head}, i) : std::nan("");
              array.values.push_back(static_cast<float>(number));
            }
          }
        }
      }
    }
  }
  profile.arrays[name] = array;
}

// VSA: coverage_pooled as a function of the kept tiles K.
inline void add_coverage(Profile& profile,
                         const std::function<double(const ProfileSite&, double kept)>& coverage) {
  const int64_t tiles = TileGrid(profile.grid, profile.tile).num_tiles();
  add_statistic(profile, "coverage_pooled", fraction_grid().size(),
                [&](const ProfileSite& site, size_t i) {
                  return coverage(site, static_cast<double>(kept_count(fraction_grid()[i], tiles)));
                });
}

}  // namespace sparsescope::testing
