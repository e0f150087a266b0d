#include "sparse/random_tiles.h"

#include <initializer_list>

#include "core/rng.h"
#include "sparse/vsa_selector.h"

namespace sparsescope {
namespace {

constexpr uint64_t kSeed = 0x7a5c1e5;  // any constant; plans name no other

uint64_t head_key(const SiteKey& site, int64_t head) {
  uint64_t key = kSeed;
  for (const int64_t part : {site.step, site.layer, static_cast<int64_t>(site.branch), head}) {
    key = combine_key(key, static_cast<uint64_t>(part));
  }
  return key;
}

}  // namespace

TileLists random_tiles(const SiteKey& site, int64_t head, int64_t num_tiles, int64_t top_k) {
  check_top_k(top_k, num_tiles);
  const uint64_t key_of_head = head_key(site, head);
  TileLists lists;
  lists.tiles.reserve(num_tiles * top_k);
  for (int64_t query = 0; query < num_tiles; ++query) {
    const uint64_t key = combine_key(key_of_head, static_cast<uint64_t>(query));
    // Selection sampling: each tile with the chance of what is missing over what is left, which is
    // certain where these are equal.
    int64_t missing = top_k;
    for (int64_t tile = 0; missing > 0; ++tile) {
      const auto left = static_cast<double>(num_tiles - tile);
      if (uniform(key, static_cast<uint64_t>(tile)) * left >= static_cast<double>(missing))
        continue;
      lists.tiles.push_back(static_cast<int32_t>(tile));
      --missing;
    }
    lists.end_row();
  }
  return lists;
}

}  // namespace sparsescope
