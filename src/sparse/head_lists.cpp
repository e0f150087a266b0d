#include "sparse/head_lists.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/row_groups.h"

namespace sparsescope {
namespace {

// Queries whose partial results one worker holds while it merges them (VMoBA): enough that a
// block's rows fill the lanes, few enough that states stay in cache and work can be shared out.
constexpr int64_t kMergedRows = 1024;

struct RangeRun {
  int32_t first = 0;
  int32_t count = 0;
};

class HeadListBuilder {
 public:
  HeadListBuilder(const TokenLayout& layout, int64_t batch, int64_t head)
      : layout_(layout), batch_(static_cast<int32_t>(batch)), head_(static_cast<int32_t>(head)) {}

  // What tiles with these lists will take.
  void reserve(int64_t rows, const TileLists& lists) {
    lists_.rows.reserve(rows + layout_.text_tokens());
    lists_.range_ids.reserve(lists.tiles.size() + 2 * layout_.ranges.size());
    lists_.items.reserve(rows / kRowLanes + layout_.ranges.size());
    lists_.strands.reserve(layout_.ranges.size());
  }

  RangeRun add_ranges(std::span<const int32_t> ids) {
    const auto first = static_cast<int32_t>(lists_.range_ids.size());
    lists_.range_ids.insert(lists_.range_ids.end(), ids.begin(), ids.end());
    return {first, static_cast<int32_t>(ids.size())};
  }

  // The listed tiles, and the text.
  RangeRun add_tiles_and_text(std::span<const int32_t> tiles) {
    RangeRun run = add_ranges(tiles);
    if (layout_.text_tokens() > 0) {
      lists_.range_ids.push_back(static_cast<int32_t>(layout_.num_tiles()));
      ++run.count;
    }
    return run;
  }

  void begin_strand(bool merges) {
    const auto first = static_cast<int32_t>(lists_.items.size());
    lists_.strands.push_back({batch_, head_, first, 0, merges});
  }

  // Rows of the open strand against a run of ranges, in items of at most 64.
  void add_rows(std::span<const int32_t> tokens, const RangeRun& ranges) {
    while (!tokens.empty()) {
      const auto rows = tokens.first(std::min<size_t>(tokens.size(), kRowLanes));
      const auto first = static_cast<int32_t>(lists_.rows.size());
      lists_.rows.insert(lists_.rows.end(), rows.begin(), rows.end());
      lists_.items.push_back(
          {first, static_cast<int32_t>(rows.size()), ranges.first, ranges.count});
      ++lists_.strands.back().num_items;
      tokens = tokens.subspan(rows.size());
    }
  }

  HeadLists finish() {
    add_text_rows();
    sort_strands();
    return std::move(lists_);
  }

 private:
  void add_text_rows() {
    if (layout_.text_tokens() == 0) return;
    std::vector<int32_t> everything(layout_.ranges.size());
    std::iota(everything.begin(), everything.end(), 0);
    const RangeRun ranges = add_ranges(everything);
    std::span<const int32_t> tokens = layout_.tokens_of(layout_.num_tiles());
    while (!tokens.empty()) {
      const auto rows = tokens.first(std::min<size_t>(tokens.size(), kRowLanes));
      begin_strand(false);
      add_rows(rows, ranges);
      tokens = tokens.subspan(rows.size());
    }
  }

  int64_t cost(const SparseStrand& strand) const {
    int64_t pairs = 0;
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists_.items[i];
      int64_t keys = 0;
      for (int32_t r = item.first_range; r < item.first_range + item.num_ranges; ++r) {
        keys += layout_.ranges[lists_.range_ids[r]].count;
      }
      pairs += item.num_rows * keys;
    }
    return pairs;
  }

  void sort_strands() {
    std::vector<std::pair<int64_t, SparseStrand>> by_cost;
    by_cost.reserve(lists_.strands.size());
    for (const SparseStrand& strand : lists_.strands) by_cost.emplace_back(cost(strand), strand);
    std::stable_sort(by_cost.begin(), by_cost.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::transform(by_cost.begin(), by_cost.end(), lists_.strands.begin(),
                   [](const auto& entry) { return entry.second; });
  }

  const TokenLayout& layout_;
  int32_t batch_, head_;
  HeadLists lists_;
};

// Rows [first, last) that chose the block, as tokens.
void rows_of_block(const TokenLayout& layout, const VmobaSelection& selection, int64_t block,
                   int64_t first, int64_t last, std::vector<int32_t>& tokens) {
  tokens.clear();
  for (int64_t position = first; position < last; ++position) {
    if (selection.selected(block, position)) tokens.push_back(layout.order[position]);
  }
}

void reserve_joined(std::span<const HeadLists> heads, BlockLists& joined) {
  size_t rows = 0, range_ids = 0, items = 0, strands = 0;
  for (const HeadLists& head : heads) {
    rows += head.rows.size();
    range_ids += head.range_ids.size();
    items += head.items.size();
    strands += head.strands.size();
  }
  joined.rows.reserve(rows);
  joined.range_ids.reserve(range_ids);
  joined.items.reserve(items);
  joined.strands.reserve(strands);
}

}  // namespace

HeadLists tile_head_lists(const TokenLayout& layout, const TileLists& lists, int64_t batch,
                          int64_t head) {
  HeadListBuilder builder(layout, batch, head);
  builder.reserve(layout.video_tokens(), lists);
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    builder.begin_strand(false);
    builder.add_rows(layout.tokens_of(tile), builder.add_tiles_and_text(lists.of(tile)));
  }
  return builder.finish();
}

HeadLists bsa_head_lists(const TokenLayout& layout, const BsaSelection& selection, int64_t batch,
                         int64_t head) {
  HeadListBuilder builder(layout, batch, head);
  builder.reserve(std::ssize(selection.kept.tiles), selection.lists);
  std::vector<int32_t> kept;
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    const std::span<const int32_t> tokens = layout.tokens_of(tile);
    kept.clear();
    for (const int32_t slot : selection.kept.of(tile)) kept.push_back(tokens[slot]);
    builder.begin_strand(false);
    builder.add_rows(kept, builder.add_tiles_and_text(selection.lists.of(tile)));
  }
  return builder.finish();
}

HeadLists vmoba_head_lists(const TokenLayout& layout, const VmobaSelection& selection,
                           int64_t batch, int64_t head) {
  HeadListBuilder builder(layout, batch, head);
  // A range a block; the text range takes every row.
  std::vector<RangeRun> runs;
  for (int32_t range = 0; range < static_cast<int32_t>(layout.ranges.size()); ++range) {
    runs.push_back(builder.add_ranges({&range, 1}));
  }
  std::vector<int32_t> tokens;
  for (int64_t first = 0; first < selection.num_rows; first += kMergedRows) {
    const int64_t last = std::min(selection.num_rows, first + kMergedRows);
    builder.begin_strand(true);
    for (int64_t block = 0; block < selection.num_blocks; ++block) {
      rows_of_block(layout, selection, block, first, last, tokens);
      builder.add_rows(tokens, runs[block]);
    }
    if (layout.text_tokens() > 0) {
      builder.add_rows(std::span(layout.order).subspan(first, last - first), runs.back());
    }
  }
  return builder.finish();
}

BlockLists join_lists(const TokenLayout& layout, std::span<const HeadLists> heads) {
  BlockLists joined;
  joined.key_order = layout.order;
  joined.ranges = layout.ranges;
  reserve_joined(heads, joined);
  for (const HeadLists& head : heads) {
    const auto first_row = static_cast<int32_t>(joined.rows.size());
    const auto first_range = static_cast<int32_t>(joined.range_ids.size());
    const auto first_item = static_cast<int32_t>(joined.items.size());
    joined.rows.insert(joined.rows.end(), head.rows.begin(), head.rows.end());
    joined.range_ids.insert(joined.range_ids.end(), head.range_ids.begin(), head.range_ids.end());
    for (SparseItem item : head.items) {
      item.first_row += first_row;
      item.first_range += first_range;
      joined.items.push_back(item);
    }
    for (SparseStrand strand : head.strands) {
      strand.first_item += first_item;
      joined.strands.push_back(strand);
    }
  }
  return joined;
}

}  // namespace sparsescope
