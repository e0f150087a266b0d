// VMoBA's rule on pools that span queries: the last entry that each pool keeps, found by a radix
// search over passes of gates that need not be held at once. All sums are of integers, so that they
// do not depend on their order.
//
//   start_pools;  [(extents_pass); measure_pools];  for each digit: digit_pass, advance_pools;
//   mark_pass;  share_ties;  ties_pass
//
// A pass is called for every wave of gates. Larger gates are kept; of those equal to the last one
// so many as are wanted, by block, head and query. Own blocks are always kept and compete with
// nothing.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_layout.h"
#include "kernels/cuda/select_scores.h"

namespace sparsescope::cuda {

inline constexpr int32_t kPoolDigits = 3;
inline constexpr int32_t kPoolPlaces = 2048;  // of a digit

enum class PoolSpan { kPlane, kSample, kBlock };  // a pool's entries; kBlock: of a sample

struct PoolRule {
  PoolSpan span = PoolSpan::kPlane;
  int32_t top_k = 0;  // at most N; 0: by threshold
  double threshold = 0;
};

// Lies in shared memory too, and so has no initial values.
struct PoolState {
  uint32_t least, largest;  // keys of the pool's entries
  float lo, scale;          // steps of its weights
  double unit;
  int64_t own;      // weight of its own entries
  int64_t target;   // that the entries of the digits to come have to reach
  uint32_t prefix;  // digits that are decided; in the end entries of larger keys are kept
  int32_t search;   // see select_pools.cuh
  int64_t ties;     // and so many whose key it is
};

// Planes of whole samples, heads of them a sample.
struct Pools {
  PoolRule rule;
  int32_t num_planes = 0, heads = 1;
  int32_t num_tiles = 0, video_tokens = 0;
  const int32_t* own = nullptr;         // [video_tokens] the block of each position
  PoolState* states = nullptr;          // [num_pools]
  const KeyExtents* extents = nullptr;  // [num_planes] where they are known and pools are planes
  int64_t* weights = nullptr;           // [num_pools, kPoolPlaces]
  int64_t* counts = nullptr;            // the same
  int32_t* ties = nullptr;              // [num_planes, N]
  uint32_t* mask = nullptr;             // bit rows [num_planes, video_tokens]

  int32_t num_pools() const {
    if (rule.span == PoolSpan::kPlane) return num_planes;
    return num_planes / heads * (rule.span == PoolSpan::kBlock ? num_tiles : 1);
  }
};

// Rows [first_row, first_row + num_rows) of planes [first_plane, first_plane + num_planes).
struct GateWave {
  const float* gates = nullptr;  // [num_planes, num_rows, score_stride(N)]
  int32_t first_plane = 0, num_planes = 0;
  int32_t first_row = 0, num_rows = 0;
};

void start_pools(const Pools& pools);
// Where the rule is a threshold; the pass only where extents are not known.
void extents_pass(const Pools& pools, const GateWave& wave);
void measure_pools(const Pools& pools);
void digit_pass(const Pools& pools, const GateWave& wave, int32_t digit);
void advance_pools(const Pools& pools, int32_t digit);
void mark_pass(const Pools& pools, const GateWave& wave);
void share_ties(const Pools& pools);
// Waves of one plane come in the order of their rows.
void ties_pass(const Pools& pools, const GateWave& wave);

}  // namespace sparsescope::cuda
