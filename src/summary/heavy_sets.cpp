#include "summary/heavy_sets.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/token_grid.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

// [heads, sets, N]; empty where the call has none.
std::span<const float> masses_of(const Profile& profile, SetSource source, const CallKey& call) {
  if (source == SetSource::kMaps) {
    const auto map = profile.maps.find(map_name(call.prompt, call.branch, call.step, call.layer));
    return map == profile.maps.end() ? std::span<const float>() : std::span(map->second);
  }
  if (!profile.is_recorded(call.prompt, call.branch, call.step, call.layer)) return {};
  const auto count = static_cast<size_t>(profile.heads * profile.trailing("key_mass"));
  return {profile.at("key_mass", call.prompt, call.branch, call.step, call.layer, 0), count};
}

}  // namespace

HeavySets::HeavySets(const Profile& profile, SetSource source, int64_t kept) {
  const TileGrid tiles(profile.grid, profile.tile);
  const int64_t num_tiles = tiles.num_tiles();
  if (source == SetSource::kMaps) {
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      weights_.push_back(static_cast<double>(tiles.size(tile)));
    }
  } else {
    weights_ = {1.0};
  }
  for (int64_t p = 0; p < profile.prompts; ++p) {
    for (int64_t b = 0; b < profile.branches; ++b) {
      for (int64_t s = 0; s < profile.steps; ++s) {
        for (int64_t l = 0; l < profile.layers; ++l) {
          const std::span<const float> masses = masses_of(profile, source, {p, b, s, l});
          if (!masses.empty()) add({p, b, s, l}, masses, num_tiles, kept);
        }
      }
    }
  }
}

double HeavySets::overlap(const CallKey& a, const CallKey& b) const {
  const auto left = calls_.find(a), right = calls_.find(b);
  if (left == calls_.end() || right == calls_.end())
    return std::numeric_limits<double>::quiet_NaN();
  double sum = 0, weights = 0;
  for (size_t i = 0; i < left->second.size(); ++i) {
    if (left->second[i].empty() || right->second[i].empty()) continue;
    const double weight = weights_[i % weights_.size()];
    sum += weight * jaccard(left->second[i], right->second[i]);
    weights += weight;
  }
  return weights > 0 ? sum / weights : std::numeric_limits<double>::quiet_NaN();
}

void HeavySets::add(const CallKey& call, std::span<const float> masses, int64_t num_tiles,
                    int64_t kept) {
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::any_of(masses.begin(), masses.end(), finite)) return;
  std::vector<TileSet>& sets = calls_[call];
  for (size_t first = 0; first < masses.size(); first += static_cast<size_t>(num_tiles)) {
    const auto row = masses.subspan(first, static_cast<size_t>(num_tiles));
    // Maps of some heads alone hold NaN for the others: no set.
    const bool kept_head = std::all_of(row.begin(), row.end(), finite);
    sets.push_back(kept_head ? heaviest_tiles(row, kept) : TileSet{});
  }
}

std::vector<int64_t> HeavySets::steps() const {
  std::set<int64_t> steps;
  for (const auto& [call, unused] : calls_) steps.insert(call.step);
  return {steps.begin(), steps.end()};
}

}  // namespace sparsescope
