#include "stats/tile_sets.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/error.h"

namespace sparsescope {

TileSet heaviest_tiles(std::span<const float> masses, int64_t kept) {
  SPARSESCOPE_ASSERT(kept >= 0 && kept <= std::ssize(masses));
  std::vector<uint32_t> order(masses.size());
  std::iota(order.begin(), order.end(), 0u);
  std::nth_element(order.begin(), order.begin() + kept, order.end(), [&](uint32_t a, uint32_t b) {
    return masses[a] > masses[b] || (masses[a] == masses[b] && a < b);
  });
  constexpr size_t kBits = 64;
  TileSet set((masses.size() + kBits - 1) / kBits, 0);
  for (int64_t i = 0; i < kept; ++i) {
    const uint32_t tile = order[static_cast<size_t>(i)];
    set[tile / kBits] |= uint64_t{1} << (tile % kBits);
  }
  return set;
}

double jaccard(std::span<const uint64_t> a, std::span<const uint64_t> b) {
  SPARSESCOPE_ASSERT(a.size() == b.size());
  int64_t both = 0, either = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += std::popcount(a[i] & b[i]);
    either += std::popcount(a[i] | b[i]);
  }
  return either > 0 ? static_cast<double>(both) / static_cast<double>(either) : 1.0;
}

}  // namespace sparsescope
