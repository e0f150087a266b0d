#include "capture/query_windows.h"

#include <algorithm>

namespace sparsescope {

std::vector<TileShape> query_windows(const TileGrid& tiles) {
  const Box box = tiles.box(0);  // no tile is larger
  const TileShape most{box.t, box.h, box.w};
  std::vector<TileShape> windows;
  const auto add = [&](int64_t t, int64_t h, int64_t w) {
    const TileShape window{std::min(t, most.t), std::min(h, most.h), std::min(w, most.w)};
    const bool known = std::find(windows.begin(), windows.end(), window) != windows.end();
    if (window.volume() > 1 && !known) windows.push_back(window);
  };
  const int64_t widest = std::max({most.t, most.h, most.w});
  for (int64_t size = 2; size < 2 * widest; size *= 2) {
    add(size, 1, 1);
    add(1, size, 1);
    add(1, 1, size);
    add(1, size, size);
    add(size, size, size);
  }
  return windows;
}

}  // namespace sparsescope
