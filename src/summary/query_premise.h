// BSA drops queries that resemble the centre of their tile or window, and tile selectors give all
// rows of a tile one list: how alike the queries of a window are against its size (window_cosine,
// where the profile holds it), those of a tile (query_cosine), and how alike its rows attend
// (row_overlap). Queries of random directions have a mean cosine of 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/summary_options.h"

namespace sparsescope {

inline constexpr double kAlikeCosine = 0.9;

struct WindowCosine {
  std::string window;    // "2,2,2"
  bool of_tile = false;  // from query_cosine: against the tile's centre
  Measured mean;         // over heads
  double least = 0;      // of the heads, each by its mean
  int64_t least_layer = 0, least_head = 0;
  double alike = 0;  // share of the heads with a mean of at least kAlikeCosine
};

struct LayerAlikeness {
  int64_t layer = 0;
  std::vector<Measured> cosines;  // [windows]
  Measured row_overlap;
};

struct QueryPremise {
  std::vector<WindowCosine> windows;  // window_cosine's, then the tile
  Measured row_overlap;
  double least_overlap = 0;
  int64_t least_layer = 0, least_head = 0;
  std::vector<LayerAlikeness> layers;
};

// Error(kData) where query_cosine or row_overlap is missing.
QueryPremise find_query_premise(const Profile& profile, const SummaryOptions& options);

}  // namespace sparsescope
