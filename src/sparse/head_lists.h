// From selections to the kernel's work list: the items and strands of one (batch, head), and the
// union of many. Text rows attend to everything; every video row attends to all text keys besides
// its selection.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sparse/bsa_selector.h"
#include "sparse/selection.h"
#include "sparse/tile_lists.h"
#include "sparse/token_layout.h"
#include "sparse/vmoba_selector.h"

namespace sparsescope {

// Offsets count from the start of these arrays. Strands stand longest first.
struct HeadLists {
  std::vector<int32_t> rows;
  std::vector<int32_t> range_ids;
  std::vector<SparseItem> items;
  std::vector<SparseStrand> strands;
};

// All queries of a tile against its list: a strand a tile.
HeadLists tile_head_lists(const TokenLayout& layout, const TileLists& lists, int64_t batch,
                          int64_t head);
// The kept queries of a tile against its list.
HeadLists bsa_head_lists(const TokenLayout& layout, const BsaSelection& selection, int64_t batch,
                         int64_t head);
// The rows of a run of queries that chose a block, block by block; a strand a run.
HeadLists vmoba_head_lists(const TokenLayout& layout, const VmobaSelection& selection,
                           int64_t batch, int64_t head);

// Heads keep their order, so that the keys of one head stay in cache. All of one layout.
BlockLists join_lists(const TokenLayout& layout, std::span<const HeadLists> heads);

}  // namespace sparsescope
