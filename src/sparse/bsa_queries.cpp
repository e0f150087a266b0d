#include "sparse/bsa_queries.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "sparse/top_k.h"

namespace sparsescope {

int32_t centre_slot(const Box& box, const TileShape& tile, const BsaQueryOptions& options) {
  if (options.centre && box.volume() == tile.volume()) {
    const TileShape& c = *options.centre;
    SPARSESCOPE_CHECK(ErrorKind::kUsage, c.t < tile.t && c.h < tile.h && c.w < tile.w,
                      "bsa: the centre {} lies outside the tile {}", to_string(c), to_string(tile));
    return static_cast<int32_t>((c.t * tile.h + c.h) * tile.w + c.w);
  }
  return ((box.t / 2) * box.h + box.h / 2) * box.w + box.w / 2;
}

QueryWindows query_windows(const Box& box, const TileShape& tile, const BsaQueryOptions& options) {
  const TileShape extents{box.t, box.h, box.w};
  const TileGrid cut({box.t, box.h, box.w},
                     options.window.volume() == 0 ? extents : options.window);
  const int32_t centre = centre_slot(box, tile, options);
  QueryWindows windows;
  windows.reference.resize(box.volume());
  for (int64_t u = 0; u < cut.num_tiles(); ++u) {
    const std::vector<int32_t>& slots = windows.slots.emplace_back(cut.tokens_of(u));
    const int32_t reference = options.reference == BsaReference::kCentre        ? centre
                              : options.reference == BsaReference::kWindowFirst ? slots.front()
                                                                                : slots.back();
    for (const int32_t slot : slots) windows.reference[slot] = reference;
  }
  return windows;
}

int64_t query_quota(int64_t num_slots, const BsaQueryOptions& options) {
  // A product that is a whole number must not gain or lose a query by the rounding of rho.
  constexpr double kSlack = 1e-9;
  const double exact = static_cast<double>(num_slots) * options.keep;
  const double quota = options.round_down ? std::floor(exact + kSlack) : std::ceil(exact - kSlack);
  return std::clamp<int64_t>(static_cast<int64_t>(quota), 1, num_slots);
}

void keep_queries(std::span<const float> similarity, const QueryWindows& windows,
                  const BsaQueryOptions& options, KeepScratch& scratch,
                  std::vector<int32_t>& kept) {
  scratch.keep.assign(similarity.size(), 0);
  for (const std::vector<int32_t>& slots : windows.slots) {
    scratch.scores.clear();
    for (const int32_t slot : slots) {
      const bool forced = options.keep_reference && slot == windows.reference[slot];
      scratch.scores.push_back(forced ? std::numeric_limits<float>::infinity() : -similarity[slot]);
    }
    scratch.best.clear();
    append_top_k(scratch.scores, query_quota(std::ssize(slots), options), scratch.top_k,
                 scratch.best);
    for (const int32_t i : scratch.best) scratch.keep[slots[i]] = 1;
  }
  kept.clear();
  for (int32_t slot = 0; slot < std::ssize(similarity); ++slot) {
    if (scratch.keep[slot]) kept.push_back(slot);
  }
}

}  // namespace sparsescope
