// A profile in memory: the statistics of all recorded sites with their axes, and the manifest that
// says where they come from. Reading and writing of the HDF5 file: profile_store.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/json_io.h"
#include "core/token_grid.h"
#include "stats/kept_data.h"

namespace sparsescope {

// One dataset of /stats or /vmoba: leading axes (prompt, branch, step, layer, head), then its own.
struct ProfileArray {
  std::vector<std::string> axes;  // all of them, leading ones included
  std::vector<int64_t> shape;
  std::string unit;
  std::string description;
  std::vector<float> values;  // row-major; NaN where a site was not recorded
};

struct Profile {
  Json manifest;
  TokenGrid grid;
  TileShape tile;
  int64_t prompts = 0, branches = 0, steps = 0, layers = 0, heads = 0;
  int64_t rows_per_tile = 0;            // 0: all rows
  std::vector<double> timestep, sigma;  // [steps]
  std::vector<int64_t> expert;          // [steps] SiteKey::expert; empty: a single transformer
  std::vector<std::string> layer_name;  // [layers]
  std::vector<uint8_t> recorded;        // [prompt, branch, step, layer]
  std::map<std::string, ProfileArray>
      arrays;  // "coverage_row", "vmoba/temporal:2/recall_topk", ...
  std::map<std::string, std::vector<float>> maps;  // "p0_b0_s0_l3": [H, N, N]
  KeptData kept;

  bool is_recorded(int64_t prompt, int64_t branch, int64_t step, int64_t layer) const {
    return recorded[((prompt * branches + branch) * steps + step) * layers + layer] != 0;
  }
  int64_t expert_of(int64_t step) const {
    return expert.empty() ? 0 : expert[static_cast<size_t>(step)];
  }
  // The values of one site and head behind the leading axes. Error(kData) where there is no such
  // array.
  const float* at(const std::string& name, int64_t prompt, int64_t branch, int64_t step,
                  int64_t layer, int64_t head) const;
  // Number of values behind the leading axes.
  int64_t trailing(const std::string& name) const;
};

// Those of which a site was recorded, ascending.
std::vector<int64_t> recorded_prompts(const Profile& profile);
std::vector<int64_t> recorded_steps(const Profile& profile);

// The grids that the statistics share (contract section 3).
const std::vector<double>& fraction_grid();  // f and kappa: 1/64 ... 1
const std::vector<double>& tau_grid();       // 0.05 ... 0.95
// K(f) = clamp(ceil(f*N), 1, N) in double arithmetic.
int64_t kept_count(double fraction, int64_t num_tiles);

}  // namespace sparsescope
