#include "capture/gate_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>

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
}

void BlockCuts::store_limits(float* tree) const {
  tree[0] = std::numeric_limits<float>::infinity();  // no node
  for (int64_t node = 1; node < kPoolCodes; ++node) {
    // Node i of a level of n nodes has the rank (2*i + 1) * 32 / n - 1.
    const auto level_nodes = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(node)));
    const int64_t rank = (2 * (node - level_nodes) + 1) * (kPoolCodes / 2) / level_nodes - 1;
    tree[node] = rank < kNumCuts ? limits_[rank].gate : std::numeric_limits<float>::infinity();
  }
}

CutOrder BlockCuts::order() const {
  CutOrder order;
  for (int64_t i = 0; i < kNumCuts; ++i) order[i] = limits_[i].curve;
  return order;
}

}  // namespace sparsescope
