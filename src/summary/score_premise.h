// BSA cuts a row of pooled scores at mean + deviation * Phi^-1(1 - kappa), which keeps the share
// kappa if the scores are normal. How normal they are, from score_moments; what the cut keeps
// instead, from bsa_density; the cut that would keep kappa; and whether skewness and kurtosis tell
// it (Cornish-Fisher).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/summary_options.h"

namespace sparsescope {

struct MomentSpread {
  std::string name;          // "mean", "standard_deviation", "skewness", "excess_kurtosis"
  Measured mean;             // over heads
  double low = 0, high = 0;  // 5 % and 95 % of the heads, each by its mean
};

// Shifts are what must be added to z, in deviations of a row, for the density to be kappa.
struct CutLine {
  double kappa = 0;
  Measured density;             // kept, mean over heads
  double low = 0, high = 0;     // 5 % and 95 % of the heads
  double gaussian_density = 0;  // kept of normal scores in rows of as many tiles
  std::optional<double> gaussian_shift;
  Measured shift;                // mean over the heads that have one
  double predicted = kNotKnown;  // the same from skewness and kurtosis
  double size = kNotKnown;       // mean over heads of |shift|
  double rest = kNotKnown;       // mean over heads of |shift - predicted|
  int64_t without = 0;           // heads whose density never is that small
};

struct HeadPremise {
  int64_t layer = 0, head = 0;
  double skewness = 0, excess_kurtosis = 0;
  double density = 0;  // at kappa = the budget
  std::optional<double> shift;
  double predicted = 0;
};

struct LayerPremise {
  int64_t layer = 0;
  Measured skewness, excess_kurtosis, density, shift;
};

struct ScorePremise {
  double kappa = 0;  // the budget, of heads and layers
  std::vector<MomentSpread> moments;
  std::vector<CutLine> cuts;  // by kappa, those below 1 and the budget
  std::vector<LayerPremise> layers;
  std::vector<HeadPremise> heads;  // the largest shift first; those without one before all others
};

// Error(kData) where score_moments or bsa_density is missing.
ScorePremise find_score_premise(const Profile& profile, const SummaryOptions& options);

}  // namespace sparsescope
