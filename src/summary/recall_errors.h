// Where recall misleads: do the heads that miss more of their attention's mass under a setting also
// have the larger output error? Spearman's rank correlation of missed mass (1 - recall, text keys
// counted as kept) and relative L2 error, at one setting of each method whose errors the profile
// holds; and of both with the effect on the model's output, where that was measured. 1: recall
// tells the order; 0: chance.
//   place   (branch, step, layer, head), each by its mean over prompts
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/summary_options.h"

namespace sparsescope {

// A head by its mean over everything else, ranked among all heads: 0 the least, 1 the most.
struct RankedHead {
  int64_t layer = 0, head = 0;
  double missed = 0, error = 0;
  double missed_rank = 0, error_rank = 0;
};

struct RecallErrorLine {
  std::string method;         // "VSA", "BSA", "BSA, all queries", "VMoBA"
  std::string setting;        // "8 of 32 tiles", "st:2,4,4, 16 of 64 blocks"
  bool is_threshold = false;  // VMoBA's tau, which keeps another density in every head
  int64_t places = 0;
  Measured missed, error;                // means over all
  Measured over_all;                     // over all places
  Measured within_layers;                // over the places of a layer, mean over layers
  Measured error_effect, missed_effect;  // over the places with effects
  std::vector<RankedHead> heads;         // the largest difference of ranks first
};

struct RecallErrors {
  double budget = 0;
  std::vector<RecallErrorLine> lines;
};

// Jackknife intervals by prompt. Error(kData) where the profile holds no errors.
RecallErrors find_recall_errors(const Profile& profile, const SummaryOptions& options);

}  // namespace sparsescope
