// Codes of gates: of the cuts that concern a head's gates of one block, how many keep an entry.
// What a cut keeps is nested in what a weaker one keeps, so that the number tells which.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "capture/pool_search.h"

namespace sparsescope {

inline constexpr int64_t kCutPools = 3;  // head_global, block, overall
inline constexpr int64_t kNumCuts = kCutPools * kNumTaus;
inline constexpr uint8_t kOwnCode = 63;  // the own block, which every cut keeps
// In a bin with a cut, decided later: this and the number of cuts in the bins below.
inline constexpr uint8_t kFlaggedCode = 128;

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

// code_of_bin [kGateBins + 1] from the bins of the cuts.
void code_bins(const std::array<const PoolSearch*, kCutPools>& pools, uint8_t* code_of_bin);

// The cuts as they concern the gates of one block and head.
class BlockCuts {
 public:
  BlockCuts(const PoolCuts& cuts, int32_t block, int32_t head);
  // flagged: kFlaggedCode and the number of cuts in the bins below. rank(): of the entry, asked
  // for where gates tie.
  template <typename Rank>
  uint8_t code(uint8_t flagged, float gate, const Rank& rank) const {
    int64_t i = flagged - kFlaggedCode;
    const float* limit = &gates_[i];
    for (int64_t next = 0; next < kAtOnce; ++next) i += gate >= limit[next] ? 1 : 0;
    while (gate >= gates_[i]) ++i;
    if (has_ranks_) {
      while (i > 0 && gate == limits_[i - 1].gate && rank() > limits_[i - 1].rank) --i;
    }
    return static_cast<uint8_t>(i);
  }
  const CutOrder& order() const { return order_; }

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

  static constexpr int64_t kAtOnce = 4;  // limits compared without a branch

  std::array<Limit, kNumCuts> limits_;           // from the weakest to the strictest
  std::array<float, kNumCuts + kAtOnce> gates_;  // of the limits, then NaN
  bool has_ranks_ = false;                       // some limit asks for ranks
  CutOrder order_;
};

}  // namespace sparsescope
