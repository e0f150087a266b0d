#include "capture/gate_codes.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace sparsescope {
namespace {

// Merges three runs of kNumTaus sorted items.
template <typename Item, typename Less>
std::array<Item, kNumCuts> merge_pools(const std::array<Item, kNumCuts>& items, const Less& less) {
  std::array<Item, 2 * kNumTaus> pair;
  std::array<Item, kNumCuts> merged;
  const auto first = items.begin();
  std::merge(first, first + kNumTaus, first + kNumTaus, first + 2 * kNumTaus, pair.begin(), less);
  std::merge(pair.begin(), pair.end(), first + 2 * kNumTaus, items.end(), merged.begin(), less);
  return merged;
}

}  // namespace

void code_bins(const std::array<const PoolSearch*, kCutPools>& pools, uint8_t* code_of_bin) {
  std::array<int32_t, kNumCuts> bins;
  for (int64_t pool = 0; pool < kCutPools; ++pool) {
    const auto& descending = pools[pool]->bins();
    std::reverse_copy(descending.begin(), descending.end(), bins.begin() + pool * kNumTaus);
  }
  bins = merge_pools(bins, std::less<int32_t>());
  int32_t next = 0;
  for (int64_t i = 0; i < kNumCuts; ++i) {
    if (bins[i] < next) continue;  // the bin of the cut before, or none
    std::fill(code_of_bin + next, code_of_bin + bins[i], static_cast<uint8_t>(i));
    code_of_bin[bins[i]] = static_cast<uint8_t>(kFlaggedCode + i);
    next = bins[i] + 1;
  }
  std::fill(code_of_bin + next, code_of_bin + kGateBins, static_cast<uint8_t>(kNumCuts));
  code_of_bin[kGateBins] = kOwnCode;
}

BlockCuts::BlockCuts(const PoolCuts& cuts, int32_t block, int32_t head) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr int32_t kAll = std::numeric_limits<int32_t>::max();
  std::array<Limit, kNumCuts> limits;
  for (int64_t pool = 0; pool < kCutPools; ++pool) {
    for (int64_t tau = 0; tau < kNumTaus; ++tau) {
      const GateCut& cut = cuts[pool][tau];
      Limit limit{cut.gate, kAll, static_cast<uint8_t>(pool * kNumTaus + tau)};
      if (cut.tied && cut.block == block && cut.head == head) {
        limit.rank = cut.rank;
        has_ranks_ = true;
      } else if (cut.tied && (block > cut.block || (block == cut.block && head > cut.head))) {
        limit.gate = std::nextafter(cut.gate, kInfinity);
      }
      limits[pool * kNumTaus + (kNumTaus - 1 - tau)] = limit;  // larger taus are weaker
    }
  }
  limits_ = merge_pools(limits, weaker);
  gates_.fill(std::numeric_limits<float>::quiet_NaN());
  for (int64_t i = 0; i < kNumCuts; ++i) {
    order_[i] = limits_[i].curve;
    gates_[i] = limits_[i].gate;
  }
}

}  // namespace sparsescope
