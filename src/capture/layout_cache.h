// The cells and row groups of plain dense attention, kept for the last shape of a call.
#pragma once

#include <optional>

#include "capture/call_layout.h"

namespace sparsescope {

struct PlainLayout {
  CallShape shape;
  KeyCells cells;
  RowGroups rows;
};

class PlainLayoutCache {
 public:
  const PlainLayout& get(const CallShape& shape) {
    if (!layout_ || !(layout_->shape == shape)) {
      const TileGrid tiles(shape.grid, TileShape{});
      layout_.emplace(PlainLayout{.shape = shape,
                                  .cells = make_key_cells(tiles, {}, shape.prefix, shape.suffix),
                                  .rows = make_row_groups(tiles, shape.prefix, shape.suffix)});
    }
    return *layout_;
  }

 private:
  std::optional<PlainLayout> layout_;
};

}  // namespace sparsescope
