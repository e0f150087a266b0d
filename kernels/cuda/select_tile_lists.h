// From the key tiles that each query tile selected (VSA, BSA) to the kernel's work list: an item
// for each 64 rows of a tile, a strand a tile, lists ascending, the text behind them.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_layout.h"
#include "kernels/cuda/select_strands.h"

namespace sparsescope::cuda {

struct TileLists {
  SelectPlanes planes;
  SelectLayout layout;
  int32_t heads = 1;               // H
  const uint32_t* mask = nullptr;  // bit rows [planes, N]
  // Lists stand one behind the other, from first_list on. Either all of a plane are equally long,
  // or scan_counts has found where they begin within their plane.
  const int32_t* sizes = nullptr;        // [planes] without the text
  const int64_t* list_first = nullptr;   // [planes, N]
  const int64_t* plane_sizes = nullptr;  // [planes]
  int64_t first_list = 0;
  const int32_t* row_first = nullptr;   // [N + 1] where rows of a tile begin, within their plane
  int32_t plane_rows = 0;               // rows of a plane; 0 where all share them
  const int32_t* item_first = nullptr;  // [N + 1] within a plane
  int32_t plane_items = 0;
  int32_t* range_ids = nullptr;
  SparseItem* items = nullptr;  // [planes, plane_items]
  StrandTable table;            // the first N strands of each plane are written
};
void fill_tile_lists(const TileLists& call);

}  // namespace sparsescope::cuda
