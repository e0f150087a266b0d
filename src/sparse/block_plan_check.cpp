// What makes a plan safe to run: see block_plan_file.h.
#include <algorithm>

#include "core/error.h"
#include "sparse/block_plan_file.h"

namespace sparsescope {
namespace {

class Checker {
 public:
  Checker(const BlockPlan& plan, const std::string& what)
      : plan_(plan), lists_(plan.lists), what_(what) {}

  void run() {
    check_sizes();
    check_layout();
    check_indices();
    for (size_t i = 0; i < lists_.items.size(); ++i) check_item(i);
    check_strands();
    check_coverage();
  }

 private:
  // A value at tensor[place] that has to lie in [least, end).
  void check_range(const char* tensor, size_t place, int64_t value, int64_t least,
                   int64_t end) const {
    SPARSESCOPE_CHECK(ErrorKind::kData, value >= least && value < end,
                      "{}: {}[{}]: expected {}..{}, found {}", what_, tensor, place, least, end - 1,
                      value);
  }

  // A run [first, first + count) of another tensor of size values.
  void check_run(const char* tensor, size_t place, const char* target, int64_t first, int64_t count,
                 size_t size) const {
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      first >= 0 && count >= 0 && first + count <= static_cast<int64_t>(size),
                      "{}: {}[{}]: expected a run within the {} {}, found first {}, count {}",
                      what_, tensor, place, size, target, first, count);
  }

  void check_size(const char* tensor, size_t found, int64_t expected) const {
    SPARSESCOPE_CHECK(ErrorKind::kData, static_cast<int64_t>(found) == expected,
                      "{}: {}: expected {} entries, found {}", what_, tensor, expected, found);
  }

  void check_sizes() const {
    check_size("key_order", lists_.key_order.size(), plan_.tokens());
    // Every head has strands, so this bounds what is allocated for the heads below.
    SPARSESCOPE_CHECK(ErrorKind::kData, plan_.batch * plan_.heads <= std::ssize(lists_.strands),
                      "{}: strands: expected at least one for each of {} heads, found {}", what_,
                      plan_.batch * plan_.heads, lists_.strands.size());
    if (plan_.method == Method::kBsa) {
      // Two steps: a product of three large extents could overflow.
      const int64_t heads = plan_.batch * plan_.heads;
      SPARSESCOPE_CHECK(ErrorKind::kData,
                        std::ssize(lists_.restore_from) / plan_.grid.tokens() == heads &&
                            std::ssize(lists_.restore_from) % plan_.grid.tokens() == 0,
                        "{}: restore_from: expected {} heads of {} entries, found {} entries",
                        what_, heads, plan_.grid.tokens(), lists_.restore_from.size());
    }
  }

  // key_order and ranges follow from grid, block and text.
  void check_layout() const {
    const TokenLayout layout = plan_.layout();
    const auto order =
        std::mismatch(layout.order.begin(), layout.order.end(), lists_.key_order.begin());
    SPARSESCOPE_CHECK(ErrorKind::kData, order.first == layout.order.end(),
                      "{}: key_order[{}]: expected token {}, found {}", what_,
                      order.first - layout.order.begin(), *order.first, *order.second);
    check_size("ranges", lists_.ranges.size(), std::ssize(layout.ranges));
    for (size_t i = 0; i < lists_.ranges.size(); ++i) {
      const KeyRange &expected = layout.ranges[i], &found = lists_.ranges[i];
      SPARSESCOPE_CHECK(ErrorKind::kData,
                        found.first == expected.first && found.count == expected.count,
                        "{}: ranges[{}]: expected first {}, count {}, found {}, {}", what_, i,
                        expected.first, expected.count, found.first, found.count);
    }
  }

  void check_indices() const {
    for (size_t i = 0; i < lists_.rows.size(); ++i) {
      check_range("rows", i, lists_.rows[i], 0, plan_.tokens());
    }
    for (size_t i = 0; i < lists_.range_ids.size(); ++i) {
      check_range("range_ids", i, lists_.range_ids[i], 0, std::ssize(lists_.ranges));
    }
    for (size_t i = 0; i < lists_.restore_from.size(); ++i) {
      check_range("restore_from", i, lists_.restore_from[i], -1, plan_.tokens());
    }
  }

  void check_item(size_t place) const {
    const SparseItem& item = lists_.items[place];
    check_run("items", place, "rows", item.first_row, item.num_rows, lists_.rows.size());
    check_run("items", place, "range_ids", item.first_range, item.num_ranges,
              lists_.range_ids.size());
    check_range("items", place, item.num_rows, 1, kRowLanes + 1);
    for (int32_t r = item.first_range + 1; r < item.first_range + item.num_ranges; ++r) {
      SPARSESCOPE_CHECK(ErrorKind::kData, lists_.range_ids[r - 1] < lists_.range_ids[r],
                        "{}: range_ids[{}]: expected more than {} before it in the list of "
                        "items[{}], found {}",
                        what_, r, lists_.range_ids[r - 1], place, lists_.range_ids[r]);
    }
  }

  void check_strands() {
    strand_of_row_.assign(plan_.batch * plan_.heads, {});
    for (size_t i = 0; i < lists_.strands.size(); ++i) {
      const SparseStrand& strand = lists_.strands[i];
      check_range("strands", i, strand.batch, 0, plan_.batch);
      check_range("strands", i, strand.head, 0, plan_.heads);
      check_run("strands", i, "items", strand.first_item, strand.num_items, lists_.items.size());
      claim_rows(i);
    }
  }

  // One strand owns a row. Where it merges, the row's items hold different ranges in ascending
  // order, so that no key counts twice.
  void claim_rows(size_t place) {
    const SparseStrand& strand = lists_.strands[place];
    std::vector<int32_t>& owner = strand_of_row_[strand.batch * plan_.heads + strand.head];
    owner.resize(plan_.tokens(), -1);
    last_range_.resize(plan_.tokens());
    last_item_.resize(plan_.tokens());
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists_.items[i];
      for (int32_t r = item.first_row; r < item.first_row + item.num_rows; ++r) {
        claim_row(place, i, r, owner);
      }
    }
  }

  void claim_row(size_t place, int32_t item_idx, int32_t row_idx, std::vector<int32_t>& owner) {
    const SparseStrand& strand = lists_.strands[place];
    const SparseItem& item = lists_.items[item_idx];
    const int32_t row = lists_.rows[row_idx];
    const bool first = owner[row] < 0;
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      first || (owner[row] == static_cast<int32_t>(place) && strand.merges &&
                                last_item_[row] != item_idx),
                      "{}: rows[{}]: expected token {} once among the items of batch {}, head {} "
                      "that do not merge, found again in strands[{}]",
                      what_, row_idx, row, strand.batch, strand.head, place);
    owner[row] = static_cast<int32_t>(place);
    last_item_[row] = item_idx;
    if (first) last_range_[row] = -1;
    if (item.num_ranges == 0) return;
    SPARSESCOPE_CHECK(ErrorKind::kData, lists_.range_ids[item.first_range] > last_range_[row],
                      "{}: range_ids[{}]: expected more than {}, which an earlier item of token {} "
                      "holds, found {}",
                      what_, item.first_range, last_range_[row], row,
                      lists_.range_ids[item.first_range]);
    last_range_[row] = lists_.range_ids[item.first_range + item.num_ranges - 1];
  }

  void check_coverage() const {
    const int64_t video = plan_.grid.tokens();
    for (int64_t head = 0; head < plan_.batch * plan_.heads; ++head) {
      const std::vector<int32_t>& owner = strand_of_row_[head];
      const auto computed = [&](int64_t token) { return !owner.empty() && owner[token] >= 0; };
      for (int64_t token = 0; token < plan_.tokens(); ++token) {
        const int64_t raster = token - plan_.prefix;
        const bool pruned = plan_.method == Method::kBsa && raster >= 0 && raster < video &&
                            lists_.restore_from[head * video + raster] != token;
        const int64_t source = pruned ? lists_.restore_from[head * video + raster] : token;
        SPARSESCOPE_CHECK(ErrorKind::kData, (pruned && source < 0) || computed(source),
                          "{}: batch {}, head {}: expected an item for token {}, found none", what_,
                          head / plan_.heads, head % plan_.heads, source);
        SPARSESCOPE_CHECK(ErrorKind::kData, !pruned || !computed(token),
                          "{}: restore_from[{}]: expected {}, a computed token itself, found {}",
                          what_, head * video + raster, token, source);
      }
    }
  }

  const BlockPlan& plan_;
  const BlockLists& lists_;
  const std::string& what_;
  std::vector<std::vector<int32_t>> strand_of_row_;  // [B * H][S], -1: none
  std::vector<int32_t> last_range_, last_item_;      // [S], of rows that have an owner
};

}  // namespace

void check_block_plan(const BlockPlan& plan, const std::string& what) { Checker(plan, what).run(); }

}  // namespace sparsescope
