// What makes two prompts of two profiles the same trajectory. The initial noise is drawn from the
// seed and the prompt's index, so that one prompt at another index or under another seed is another
// trajectory.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "stats/profile.h"

namespace sparsescope {

// In the canonical order of a profile's prompts: by seed, then by index in the list they were
// sampled from, then by hashes. The prompts of one list keep their order.
struct TrajectoryId {
  uint64_t seed = 0;          // of the initial noise; 0 where the noise was given
  int64_t index = 0;          // of the prompt in its list
  std::string latents;        // SHA-256 of the given noise; empty: drawn
  std::string prompt;         // SHA-256 of the embedding; empty where the profile names none
  std::string unconditional;  // SHA-256 of the other branch's embedding; empty without guidance
  auto operator<=>(const TrajectoryId&) const = default;
};

struct Trajectory {
  TrajectoryId id;
  std::string name;  // the prompt's text; empty where the profile names none
};

// Of each prompt of the profile, from its manifest. Error(kData) names the file and the place.
std::vector<Trajectory> read_trajectories(const Profile& profile, const std::string& file);
// The reverse, for a profile with prompts of several lists or seeds: prompts, their hashes, and
// `trajectories`, which holds the index and the seed (or the hash of the noise) of each.
Json trajectories_to_json(const std::vector<Trajectory>& trajectories);
// The names of the manifest's entries that concern one prompt each.
const std::vector<std::string>& trajectory_keys();

}  // namespace sparsescope
