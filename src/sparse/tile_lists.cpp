#include "sparse/tile_lists.h"

namespace sparsescope {

TileLists join_rows(std::span<const TileLists> parts) {
  TileLists joined;
  size_t rows = 1, tiles = 0;
  for (const TileLists& part : parts) {
    rows += part.first.size() - 1;
    tiles += part.tiles.size();
  }
  joined.first.reserve(rows);
  joined.tiles.reserve(tiles);
  for (const TileLists& part : parts) {
    const auto offset = static_cast<int32_t>(joined.tiles.size());
    for (int64_t row = 1; row <= part.num_rows(); ++row) {
      joined.first.push_back(offset + part.first[row]);
    }
    joined.tiles.insert(joined.tiles.end(), part.tiles.begin(), part.tiles.end());
  }
  return joined;
}

}  // namespace sparsescope
