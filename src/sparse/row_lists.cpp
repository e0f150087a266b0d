#include "sparse/row_lists.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <span>

#include "core/row_groups.h"

namespace sparsescope {
namespace {

// Queries whose partial results one worker holds while it merges them: enough that a block's rows
// fill the lanes, few enough that states stay in cache and work can be shared out.
constexpr int64_t kMergedRows = 1024;
constexpr int64_t kStrandWords = kMergedRows / kRowLanes;
static_assert(kMergedRows % kRowLanes == 0);

int64_t items_for(int64_t rows) { return (rows + kRowLanes - 1) / kRowLanes; }

class ListBuilder {
 public:
  ListBuilder(const TokenLayout& layout, const RowSelection& selection, int64_t batch, int64_t head)
      : layout_(layout),
        selection_(selection),
        batch_(static_cast<int32_t>(batch)),
        head_(static_cast<int32_t>(head)),
        num_words_(items_for(selection.num_rows)) {}

  HeadLists run(ThreadPool& pool) {
    // Range i is block i; the text range behind them takes every row.
    lists_.range_ids.resize(layout_.ranges.size());
    std::iota(lists_.range_ids.begin(), lists_.range_ids.end(), 0);
    count();
    pool.parallel_for(std::ssize(lists_.strands), [&](int64_t strand, int) { fill(strand); });
    add_text_rows(layout_, batch_, head_, lists_);
    sort_strands(layout_, lists_);
    return std::move(lists_);
  }

 private:
  bool has_text() const { return layout_.text_tokens() > 0; }
  int64_t end_word(int64_t strand) const {
    return std::min(num_words_, (strand + 1) * kStrandWords);
  }
  uint64_t bits(int64_t word, int64_t block) const {
    return selection_.bits[word * selection_.num_blocks + block];
  }

  // Layout positions of a strand's queries.
  std::span<const int32_t> queries(int64_t strand) const {
    const int64_t first = strand * kMergedRows;
    return std::span(layout_.order)
        .subspan(first, std::min(selection_.num_rows - first, kMergedRows));
  }

  // Where the strands' items and rows begin.
  void count() {
    const int64_t strands = (num_words_ + kStrandWords - 1) / kStrandWords;
    int64_t num_rows = 0, num_items = 0;
    std::vector<int64_t> of_block(selection_.num_blocks);
    for (int64_t strand = 0; strand < strands; ++strand) {
      first_row_.push_back(num_rows);
      const auto first_item = static_cast<int32_t>(num_items);
      std::fill(of_block.begin(), of_block.end(), 0);
      for (int64_t word = strand * kStrandWords; word < end_word(strand); ++word) {
        for (int64_t c = 0; c < selection_.num_blocks; ++c) {
          of_block[c] += std::popcount(bits(word, c));
        }
      }
      if (has_text()) of_block.push_back(std::ssize(queries(strand)));
      for (const int64_t rows : of_block) {
        num_rows += rows;
        num_items += items_for(rows);
      }
      of_block.resize(selection_.num_blocks);
      lists_.strands.push_back(
          {batch_, head_, first_item, static_cast<int32_t>(num_items - first_item), true});
    }
    lists_.rows.resize(num_rows);
    lists_.items.resize(num_items);
  }

  void fill(int64_t strand) {
    SparseItem* item = lists_.items.data() + lists_.strands[strand].first_item;
    auto row = static_cast<int32_t>(first_row_[strand]);
    const auto end_block = [&](int32_t first, int32_t range) {
      for (; first < row; first += item++->num_rows) {
        *item = {first, std::min<int32_t>(row - first, kRowLanes), range, 1};
      }
    };
    for (int64_t c = 0; c < selection_.num_blocks; ++c) {
      const int32_t first = row;
      for (int64_t word = strand * kStrandWords; word < end_word(strand); ++word) {
        const int32_t* tokens = &layout_.order[word * kRowLanes];
        for (uint64_t left = bits(word, c); left != 0; left &= left - 1) {
          lists_.rows[row++] = tokens[std::countr_zero(left)];
        }
      }
      end_block(first, static_cast<int32_t>(c));
    }
    if (!has_text()) return;
    const std::span<const int32_t> tokens = queries(strand);
    std::copy(tokens.begin(), tokens.end(), lists_.rows.begin() + row);
    const int32_t first = row;
    row += static_cast<int32_t>(tokens.size());
    end_block(first, static_cast<int32_t>(selection_.num_blocks));
  }

  const TokenLayout& layout_;
  const RowSelection& selection_;
  int32_t batch_, head_;
  int64_t num_words_;
  std::vector<int64_t> first_row_;  // [strands]
  HeadLists lists_;
};

}  // namespace

HeadLists row_head_lists(const TokenLayout& layout, const RowSelection& selection, int64_t batch,
                         int64_t head, ThreadPool& pool) {
  return ListBuilder(layout, selection, batch, head).run(pool);
}

}  // namespace sparsescope
