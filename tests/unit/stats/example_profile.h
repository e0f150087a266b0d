// A small profile that obeys every law of the format: one prompt, two branches, three steps of
// which the middle one is not recorded, two layers, two heads, on a ragged grid.
#pragma once

#include <cmath>
#include <limits>

#include "stats/profile.h"
#include "stats/profile_schema.h"
#include "stats/profile_store.h"

namespace sparsescope::testing {

inline void add_array(Profile& profile, const std::string& name, std::vector<std::string> axes,
                      std::vector<int64_t> extents, const std::vector<float>& site_values) {
  ProfileArray array;
  array.axes = {"prompt", "branch", "step", "layer", "head"};
  array.axes.insert(array.axes.end(), axes.begin(), axes.end());
  array.shape = {profile.prompts, profile.branches, profile.steps, profile.layers, profile.heads};
  array.shape.insert(array.shape.end(), extents.begin(), extents.end());
  array.unit = "unit of " + name;
  array.description = "meaning of " + name;
  for (const uint8_t recorded : profile.recorded) {
    for (int64_t head = 0; head < profile.heads; ++head) {
      for (const float value : site_values) {
        array.values.push_back(recorded != 0 ? value : std::numeric_limits<float>::quiet_NaN());
      }
    }
  }
  profile.arrays[name] = std::move(array);
}

inline std::vector<float> constant(int64_t count, float value) {
  return std::vector<float>(static_cast<size_t>(count), value);
}

inline Profile example_profile() {
  Profile p;
  p.manifest = {{"producer", "sparsescope test"}, {"seed", 7}, {"prompts", {"a red disc"}}};
  p.grid = {2, 3, 5};  // tiles of 2,2,2: 1 x 2 x 3
  p.tile = {2, 2, 2};
  p.prompts = 1;
  p.branches = 2;
  p.steps = 3;
  p.layers = 2;
  p.heads = 2;
  p.timestep = {1000, 857.692307692, 602.150537634};
  p.sigma = {1.0, 0.857692307692, 0.602150537634};
  p.layer_name = {"blocks.0.attn1", "blocks.1.attn1"};
  p.recorded = {1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1};

  const std::vector<float> rising = {0.1f, 0.1f, 0.2f, 0.2f, 0.3f, 0.3f,
                                     0.4f, 0.5f, 0.6f, 0.7f, 0.9f, 1.0f};
  for (const char* name : {"coverage_row", "coverage_tile", "coverage_pooled"}) {
    add_array(p, name, {"f"}, {12}, rising);
  }
  for (const char* name : {"bsa_density", "bsa_recall"})
    add_array(p, name, {"kappa"}, {12}, rising);
  add_array(p, "key_mass", {"tile"}, {6}, {0.25f, 0.25f, 0.125f, 0.125f, 0.125f, 0.125f});
  add_array(p, "mass_dt", {"distance_t"}, {2}, {0.75f, 0.25f});
  add_array(p, "mass_dh", {"distance_h"}, {3}, {0.5f, 0.25f, 0.25f});
  add_array(p, "mass_dw", {"distance_w"}, {5}, {0.5f, 0.125f, 0.125f, 0.125f, 0.125f});
  add_array(p, "frame_mass", {"frame", "frame"}, {2, 2}, {0.75f, 0.25f, 0.25f, 0.75f});
  add_array(p, "offset_mass", {"offset_t", "offset_h", "offset_w"}, {1, 2, 3},
            {0.5f, 0.125f, 0.125f, 0.125f, 0.0f, 0.125f});
  add_array(p, "window_cosine", {"window"}, {5}, {0.5f, 0.5f, 0.25f, 0.25f, -0.125f});
  for (const char* name : {"prefix_mass"}) add_array(p, name, {}, {}, {0.0f});
  add_array(p, "entropy", {}, {}, {2.5f});
  add_array(p, "row_overlap", {}, {}, {0.5f});
  std::vector<float> histogram = constant(64, 0.0f);
  histogram[63] = 24;  // 30 tokens less 6 centres
  add_array(p, "query_cosine", {"cosine_bin"}, {64}, histogram);
  add_array(p, "score_moments", {"moment"}, {4}, {-1.0f, 2.0f, 0.0f, -0.5f});
  for (const char* partition : {"vmoba/temporal:1/", "vmoba/st:1,3,1/"}) {
    const int64_t blocks = partition[6] == 't' ? 2 : 10;
    const std::string prefix = partition;
    add_array(p, prefix + "density_topk", {"k"}, {blocks}, constant(blocks, 0.5f));
    add_array(p, prefix + "recall_topk", {"k"}, {blocks}, constant(blocks, 0.75f));
    add_array(p, prefix + "density_tau", {"pool", "tau"}, {4, 19}, constant(76, 0.5f));
    add_array(p, prefix + "recall_tau", {"pool", "tau"}, {4, 19}, constant(76, 0.75f));
  }
  p.maps[map_name(0, 1, 2, 1)] = constant(2 * 6 * 6, 1.0f / 6);
  return p;
}

}  // namespace sparsescope::testing
