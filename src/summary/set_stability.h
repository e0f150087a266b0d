// How far the sets of key tiles that a head would choose stay the same: over steps, prompts and
// guidance branches, with the level of chance beside every overlap.
// Overlap: Jaccard index of two sets of the same layer and head, at sites that differ in one thing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stats/profile.h"
#include "summary/heavy_sets.h"
#include "summary/measured.h"
#include "summary/summary_options.h"

namespace sparsescope {

struct SetOverlap {
  std::string between;  // "steps" (neighbours of those recorded), "prompts", "branches"
  double fraction = 0;
  int64_t kept = 0;                // K
  double chance = 0;               // Jaccard index of two independent random sets
  int64_t pairs = 0;               // of sites compared
  Measured jaccard;                // mean over heads
  Measured excess;                 // (Jaccard - chance) / (1 - chance)
  std::vector<Measured> by_layer;  // [layers] Jaccard
};

struct SetStability {
  SetSource source = SetSource::kKeyMass;
  std::vector<SetOverlap> overlaps;
  // Mean Jaccard between any two recorded steps at the budget. [steps, steps]
  std::vector<int64_t> steps;
  std::vector<double> between_steps;
};

// Jackknife intervals by prompt. Error(kData) where the profile holds none of the source.
SetStability find_set_stability(const Profile& profile, SetSource source,
                                const SummaryOptions& options);

}  // namespace sparsescope
