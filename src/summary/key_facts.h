// The numbers that every paper on sparse attention states first: how much mass few tiles hold and
// what a selector loses of it, entropy, text, sinks, and what all that varies with.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/summary_options.h"
#include "summary/variance_shares.h"

namespace sparsescope {

// Mass of K(f) key tiles, text keys apart.
struct CoverageLine {
  double fraction = 0;
  int64_t kept = 0;
  double chance = 0;  // K / N: tiles drawn at random, without text
  Measured row, tile, pooled;
  Measured sharing;  // row - tile: lost because the rows of a tile share a list
  Measured ranking;  // tile - pooled: lost because pooled scores rank the tiles
};

struct Fact {
  std::string name, unit;
  Measured mean;             // over heads and sites
  double low = 0, high = 0;  // 5 % and 95 % of the heads, each by its mean
};

struct SinkFacts {
  int64_t kept = 0;                // 1 % of the tiles, one at least
  double chance = 0;               // kept / N
  Measured share;                  // of all attention on a head's `kept` heaviest tiles
  int64_t tile = 0;                // the tile that is the heaviest one of most heads
  std::array<int64_t, 3> place{};  // its place in the grid of tiles: t, h, w
  double heads = 0;                // share of the heads, by their means, whose heaviest tile it is
  double heads_chance = 0;         // 1 / N
};

struct LayerFacts {
  int64_t layer = 0;
  Measured entropy;            // over ln of the keys
  Measured row, tile, pooled;  // coverage at the budget
  Measured row_overlap;
};

struct SpreadLine {
  std::string name;
  Spreads spreads;
  std::optional<VarianceShares> shares;
};

// Statistics that need an order within a row may stand on sampled rows.
struct RowSampling {
  int64_t rows_per_tile = 0;  // 0: all rows
  int64_t rows = 0;           // of a site
  // No mean over the sampled rows of one site and head has a larger standard error: masses lie
  // between 0 and 1, so that a row's variance is 1/4 at most.
  double largest_error = 0;
  int64_t error_tiles = 0;  // query tiles of a call behind its error curves; 0: none measured
};

struct KeyFacts {
  std::vector<Fact> facts;
  std::vector<CoverageLine> coverage;  // by f
  double budget = 0;                   // nearest measured f; of layers and spreads
  std::vector<LayerFacts> layers;
  SinkFacts sinks;
  std::vector<SpreadLine> spreads;
  RowSampling sampling;
};

// Error(kData) where a statistic that every profile holds is missing.
KeyFacts find_key_facts(const Profile& profile, const SummaryOptions& options);

}  // namespace sparsescope
