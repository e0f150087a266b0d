// How far two profiles agree on their heads: transfer over prompts, resolutions, checkpoints,
// steps and seeds. The yardstick is the spread between two prompts of one profile.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stats/intervals.h"
#include "stats/profile.h"

namespace sparsescope {

// One measure of one statistic (comparable.h) over all (branch, step, layer, head) that both
// profiles recorded. A head's value is its mean over the profile's prompts.
struct StatisticAgreement {
  std::string name, what;
  int64_t heads = 0;
  double mean_a = 0, mean_b = 0;  // of the ranked number, over heads
  double difference = 0;          // mean over heads of the distance between A and B
  std::optional<double> spread;   // the same between two prompts of A, mean over pairs
  std::optional<double> rank;     // Spearman's, of A's heads with B's; none of equal heads
  std::optional<Interval> difference_interval, rank_interval;  // by prompts
};

// Whether the same key tiles are heavy in both: Jaccard index of the K tiles with the most
// key_mass.
struct TileSetAgreement {
  double fraction = 0;
  int64_t kept = 0;                  // K of N tiles
  double chance = 0;                 // of two independent random sets
  double jaccard = 0;                // of A's and B's, mean over heads
  std::optional<double> yardstick;   // of two prompts of A, mean over pairs and heads
  std::optional<Interval> interval;  // of jaccard, by prompts
};

struct NotCompared {
  std::string name, reason;
};

struct StepPair {
  int64_t a = 0, b = 0;
};

struct Comparison {
  double confidence = 0.95;
  int64_t prompts_a = 0, prompts_b = 0;  // that were recorded
  // Both hold the same prompts: they are left out of both at once. Else each profile's prompts
  // vary alone.
  bool paired = false;
  std::vector<StepPair> steps;  // recorded in both; by nearest sigma
  double largest_sigma_gap = 0;
  std::vector<StatisticAgreement> statistics;
  std::optional<TileSetAgreement> heavy_tiles;  // on equal grids and tiles
  std::vector<NotCompared> not_compared;
};

// Intervals: delete-one jackknife over prompts with Student's t; none where a profile holds fewer
// than two prompts. Error(kData) where layers or heads differ, or one holds no recorded site.
Comparison compare_profiles(const Profile& a, const Profile& b, double confidence = 0.95);

// What the comparison says, in a sentence.
std::string conclusion(const Comparison& comparison);

}  // namespace sparsescope
