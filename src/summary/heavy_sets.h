// The heavy key tiles of every head at every call of a profile, to be compared call with call.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "stats/profile.h"
#include "stats/tile_sets.h"

namespace sparsescope {

//   kKeyMass   one set a head: the K tiles with the most key_mass
//   kMaps      one set a head and query tile: the K heaviest key tiles of its row of the map;
//              query tiles weigh by their tokens
enum class SetSource { kKeyMass, kMaps };

struct CallKey {
  int64_t prompt = 0, branch = 0, step = 0, layer = 0;
  auto operator<=>(const CallKey&) const = default;
};

class HeavySets {
 public:
  // kept: K. Calls without finite masses have no sets; heads that a map was not kept of have empty
  // ones.
  HeavySets(const Profile& profile, SetSource source, int64_t kept);

  const std::map<CallKey, std::vector<TileSet>>& calls() const { return calls_; }
  std::vector<int64_t> steps() const;  // of the calls, ascending

  // Mean Jaccard index over the heads that both have, and their sets; NaN where there is none.
  double overlap(const CallKey& a, const CallKey& b) const;

 private:
  void add(const CallKey& call, std::span<const float> masses, int64_t num_tiles, int64_t kept);

  std::vector<double> weights_;                    // of a head's sets
  std::map<CallKey, std::vector<TileSet>> calls_;  // [heads * sets]
};

}  // namespace sparsescope
