// The window that plans of BSA take where nobody names one.
#pragma once

#include <algorithm>

#include "plan/plan.h"

namespace sparsescope {

// The published one, cut to the tile.
inline TileShape default_bsa_window(const TileShape& tile) {
  const TileShape published = BsaParams{}.window;
  return {std::min(published.t, tile.t), std::min(published.h, tile.h),
          std::min(published.w, tile.w)};
}

}  // namespace sparsescope
