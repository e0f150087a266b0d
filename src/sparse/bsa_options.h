// Settings of BSA (Bidirectional Sparse Attention): which queries of a tile are kept, which key
// tiles a query tile attends to, and where pruned queries get their output.
#pragma once

#include <cstdint>
#include <optional>

#include "core/token_grid.h"
#include "plan/plan.h"

namespace sparsescope {

enum class BsaKvRule {
  kGaussLogit,      // Z >= mean + sd * Phi^-1(1 - kappa) over the row of logits
  kGaussProb,       // the same on the row's softmax
  kGaussLogitHead,  // mean and sd over the head's whole score matrix
  kCdf,   // most probable tiles until their mass reaches kv_mass, the crossing one included
  kTopK,  // clamp(ceil(kappa * N), 1, N) best
};

enum class BsaRestore {
  kSimilar,  // the kept query of the tile with the largest cosine
  kCentre,   // the reference query, which must be kept
  kNearest,  // the kept slot at the smallest distance |r - r'|
  kZero,     // none: output 0
};

// The query that those of a window are compared with.
enum class BsaReference {
  kCentre,       // of the tile
  kWindowFirst,  // the window's own first query
  kWindowLast,
};

struct BsaQueryOptions {
  double keep = 0.5;          // rho, fraction of the queries of a window
  TileShape window{2, 2, 2};  // all zero: the whole tile is one window
  BsaReference reference = BsaReference::kCentre;
  std::optional<TileShape>
      centre;                  // of full tiles; default half of each extent, as in clipped tiles
  bool keep_reference = true;  // within the quota
  bool round_down = false;     // quota max(1, floor(n * rho)) instead of ceil(n * rho)

  bool operator==(const BsaQueryOptions&) const = default;
};

struct BsaKvOptions {
  BsaKvRule rule = BsaKvRule::kGaussLogit;
  double keep = 0.1;       // kappa
  double mass = 0.9;       // of kCdf
  int64_t min_blocks = 4;  // best tiles that every list holds
};

struct BsaOptions {
  BsaQueryOptions query;
  BsaKvOptions kv;
  BsaRestore restore = BsaRestore::kSimilar;
  bool full_tiles_only = false;  // refuse grids with clipped tiles
};

BsaOptions bsa_options(const BsaParams& params);
// What FastVideo's BSA_ATTN does: slot c/2 as reference (pruned like any other), whole-tile quota,
// cumulative rule, nearest kept slot; ragged grids refused.
BsaOptions bsa_fastvideo_options(const TileShape& tile);

}  // namespace sparsescope
