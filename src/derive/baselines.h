// Plans to compare a derived one with, at the same density: they take one setting for everything,
// and of the profile no more than it takes to hit that density. What makes up each of them:
// baseline_settings.h.
#pragma once

#include <string>
#include <string_view>

#include "derive/derive.h"

namespace sparsescope {

enum class Baseline {
  kUniform,             // the method's best single setting
  kPublished,           // the constants of its paper, with the knob that the paper turns
  kPublishedTopK,       // VMoBA: the paper's training-free runs
  kPublishedThreshold,  // VMoBA: the public configurations
  kPublishedGlobal,     // VMoBA: the paper's trained models
  kPublishedFastVideo,  // BSA: refused, a plan cannot hold it
  kRandom,              // VSA: tiles drawn at random
  kOracle,              // VSA: for every row the tiles with the most of its own attention
};

// "uniform", "published", "published:topk", "published:threshold", "published:global",
// "published:fastvideo", "random", "oracle". Error(kUsage).
Baseline parse_baseline(std::string_view text);
std::string to_string(Baseline baseline);
std::string baseline_names();  // of all, for help

// The densest such plan within options.target, a density. Nothing is dense that the options do not
// name (or that was not recorded); options.per does not matter. Error(kUsage) for another target, a
// density that the baseline cannot meet, or a method that has no such baseline,
// Error(kUnsupported) for published:fastvideo.
Plan derive_baseline(const Profile& profile, DeriveOptions options, Baseline baseline);

}  // namespace sparsescope
