// Which class (stats/head_classes.h) each head of a model belongs to, from offset_mass and
// key_mass; whether classes change while denoising, and whether prompts agree.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "stats/head_classes.h"
#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/summary_options.h"

namespace sparsescope {

struct ClassifiedHead {
  int64_t layer = 0, head = 0;
  HeadClassification masses;       // of its means over prompts, branches and steps
  std::vector<HeadClass> by_step;  // [steps] of its means over prompts and branches
  double agreeing = 0;             // share of the prompts whose own means give the same class
};

using ClassShares = std::array<Measured, kNumHeadClasses>;  // by HeadClass

struct ClassTable {
  double budget = 0;                              // the chance level of every mass
  std::vector<int64_t> steps;                     // recorded ones
  std::vector<ClassifiedHead> heads;              // by layer, then head
  std::array<int64_t, kNumHeadClasses> counts{};  // of heads
  ClassShares shares;                             // of the heads, by each prompt's own means
  std::vector<ClassShares> shares_by_step;        // [steps]
  double changing = 0;  // share of the heads that change class over the steps
};

// Error(kData) where offset_mass is missing or does not fit the tiles.
ClassTable find_classes(const Profile& profile, const SummaryOptions& options);

}  // namespace sparsescope
