#include "stats/profile.h"

#include <numeric>
#include <set>

#include "capture/statistic_grids.h"
#include "core/error.h"

namespace sparsescope {
namespace {

constexpr size_t kNumLeading = 5;  // prompt, branch, step, layer, head

const ProfileArray& array_of(const Profile& profile, const std::string& name) {
  const auto found = profile.arrays.find(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, found != profile.arrays.end(),
                    "the profile holds no statistic '{}'", name);
  return found->second;
}

int64_t values_behind_leading_axes(const ProfileArray& array) {
  SPARSESCOPE_ASSERT(array.shape.size() >= kNumLeading);
  return std::accumulate(array.shape.begin() + kNumLeading, array.shape.end(), int64_t{1},
                         std::multiplies<int64_t>());
}

// Along the axis of this extent, whose places lie stride calls apart.
std::vector<int64_t> places_of_recorded(const Profile& profile, int64_t stride, int64_t extent) {
  std::set<int64_t> places;
  for (size_t call = 0; call < profile.recorded.size(); ++call) {
    if (profile.recorded[call] != 0) places.insert(static_cast<int64_t>(call) / stride % extent);
  }
  return {places.begin(), places.end()};
}

}  // namespace

const float* Profile::at(const std::string& name, int64_t prompt, int64_t branch, int64_t step,
                         int64_t layer, int64_t head) const {
  const ProfileArray& array = array_of(*this, name);
  SPARSESCOPE_ASSERT(prompt >= 0 && prompt < prompts && branch >= 0 && branch < branches);
  SPARSESCOPE_ASSERT(step >= 0 && step < steps && layer >= 0 && layer < layers);
  SPARSESCOPE_ASSERT(head >= 0 && head < heads);
  const int64_t site =
      (((prompt * branches + branch) * steps + step) * layers + layer) * heads + head;
  return array.values.data() + site * values_behind_leading_axes(array);
}

int64_t Profile::trailing(const std::string& name) const {
  return values_behind_leading_axes(array_of(*this, name));
}

std::vector<int64_t> recorded_prompts(const Profile& profile) {
  return places_of_recorded(profile, profile.branches * profile.steps * profile.layers,
                            profile.prompts);
}

std::vector<int64_t> recorded_steps(const Profile& profile) {
  return places_of_recorded(profile, profile.layers, profile.steps);
}

const std::vector<double>& fraction_grid() {
  static const std::vector<double> grid(kFractions.begin(), kFractions.end());
  return grid;
}

const std::vector<double>& tau_grid() {
  static const std::vector<double> grid(kTaus.begin(), kTaus.end());
  return grid;
}

int64_t kept_count(double fraction, int64_t num_tiles) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, fraction >= 0 && fraction <= 1,
                    "a kept fraction: expected a number from 0 to 1, found {}", fraction);
  return tiles_kept(fraction, num_tiles);
}

}  // namespace sparsescope
