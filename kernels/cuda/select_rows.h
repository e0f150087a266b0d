// Rules that look at one row of scores: a query tile's (VSA, BSA) or a query's gates (VMoBA with
// pools of one query). Ties go to the lower column, NaN ranks as -infinity.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_layout.h"

namespace sparsescope::cuda {

struct ScoreRows {
  const float* scores = nullptr;  // [num_planes, num_rows, score_stride(N)]
  int32_t num_planes = 0, num_rows = 0;
  int32_t num_tiles = 0;      // N, at most kMaxSelectTiles
  uint32_t* mask = nullptr;   // bit rows of the first plane's first row
  int64_t mask_stride = 0;    // bit rows of a plane
  int32_t* counts = nullptr;  // [num_planes, num_rows] bits of each row; may be null
};

// The K best of each row.
void select_top_k(const ScoreRows& rows, const int32_t* top_k);  // [num_planes], 1 .. N

// Scores of at least mean + z * sd of their row (population sd, fp64), and the least best ones.
struct GaussianRule {
  double z = 0;       // -infinity: all
  int32_t least = 1;  // 1 .. N
};
void select_gaussian(const ScoreRows& rows, const GaussianRule* rules);  // [num_planes]

// A query's own block, and of the others the best top_k - 1, or where top_k is 0 those that
// reach tau.
struct QueryGateRule {
  int32_t top_k = 0;  // at most N
  double threshold = 0;
};
// Most blocks of it: weights are held in registers beside the gates.
inline constexpr int32_t kMaxQueryBlocks = 1536;
// own: [num_rows] the block of each row.
void select_query_gates(const ScoreRows& rows, const int32_t* own, const QueryGateRule& rule);

}  // namespace sparsescope::cuda
