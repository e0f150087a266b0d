// What of a statistic means the same in profiles of other grids, tiles and step counts: fractions,
// shares and relative distances. Values that hang on the number of tiles or tokens are turned into
// such ones, or refused with the reason.
//
//   no axis of its own   the value; entropy over ln S
//   f, kappa             the value at 1/4
//   k                    the value at K(1/4) of the blocks
//   pool, tau            query_head's value at 0.5
//   moment               each moment is a measure of its own
//   bin (query_cosine)   the histogram as shares; its mean cosine
//   distance_*           cumulative mass over the relative distance; its mean
//   window               the cosines themselves, on equal windows; their mean
//   tile, frame_*, offset_*   the masses themselves, on equal grids and tiles; the largest one
//   others               the values themselves, on equal extents; their mean
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "stats/profile.h"

namespace sparsescope {

struct Measure {
  std::string name;  // of the statistic; "score_moments/skewness"
  std::string what;  // the number that heads are ranked by: "f = 1/4", "mean cosine"
  // Two heads lie weight * sum |a - b| over the points apart: the difference of two values, the
  // total variation distance of two shares, the earth mover's distance of two cumulative curves.
  int64_t points = 1;
  double weight = 1;
  // values: the statistic of one head at one site. Fills points; returns the ranked number.
  std::function<double(const float* values, std::span<float> points)> read;
};

// The measures of a statistic that the profile holds.
std::vector<Measure> measures_of(const Profile& profile, const std::string& statistic);

// Why two profiles that both hold the statistic cannot be compared by it; empty where they can.
std::string obstacle(const Profile& a, const Profile& b, const std::string& statistic);

}  // namespace sparsescope
