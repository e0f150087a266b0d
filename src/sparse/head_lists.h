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

// What every builder ends with: a strand for each 64 text rows, against everything; longest first.
void add_text_rows(const TokenLayout& layout, int32_t batch, int32_t head, HeadLists& lists);
void sort_strands(const TokenLayout& layout, HeadLists& lists);

// Heads keep their order, so that the keys of one head stay in cache. All of one layout.
BlockLists join_lists(const TokenLayout& layout, std::span<const HeadLists> heads);

}  // namespace sparsescope
