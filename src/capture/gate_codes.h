// Codes of gates: of the cuts that concern a head's gates of one block, how many keep an entry.
// What a cut keeps is nested in what a weaker one keeps, so that the number tells which.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "capture/pool_search.h"
#include "kernels/row_stats.h"

namespace sparsescope {

inline constexpr int64_t kCutPools = 3;  // head_global, block, overall
inline constexpr int64_t kNumCuts = kCutPools * kNumTaus;
inline constexpr uint8_t kOwnCode = kPoolCodes - 1;  // the own block, which every cut keeps

// The last entry that a pool keeps, in the order gate descending, then block, head, rank ascending.
struct GateCut {
  float gate = -std::numeric_limits<float>::infinity();  // the default keeps everything
  int32_t block = 0, head = 0, rank = 0;
  bool tied = false;  // some entry of the same gate ranks behind it and is not kept
};

// [tau] cuts of each of the three pools that an entry lies in
using PoolCuts = std::array<const GateCut*, kCutPools>;
// [position] pool * kNumTaus + tau, from the weakest cut to the strictest
using CutOrder = std::array<uint8_t, kNumCuts>;

// The cuts as they concern the gates of one block and head.
class BlockCuts {
 public:
  BlockCuts(const PoolCuts& cuts, int32_t block, int32_t head);

  // The limits as RowStatsKernels::pool_codes takes them; infinity, the gate of the own block, is
  // above all.
  void store_limits(float* tree) const;
  // Some limit keeps of its equal gates those up to a rank alone.
  bool has_ranks() const { return has_ranks_; }
  // Such limits taken into account; code: of the limits alone.
  uint8_t code_at_rank(uint8_t code, float gate, int32_t rank) const {
    if (code > kNumCuts) return code;
    int64_t i = code;
    while (i > 0 && gate == limits_[i - 1].gate && rank > limits_[i - 1].rank) --i;
    return static_cast<uint8_t>(i);
  }
  CutOrder order() const;

 private:
  // Keeps gates above the limit, and at the limit those up to a rank.
  struct Limit {
    float gate;
    int32_t rank;
    uint8_t curve;
  };
  static bool weaker(const Limit& a, const Limit& b) {
    return a.gate != b.gate ? a.gate < b.gate : a.rank > b.rank;
  }

  std::array<Limit, kNumCuts> limits_;  // from the weakest to the strictest
  bool has_ranks_ = false;
};

}  // namespace sparsescope
