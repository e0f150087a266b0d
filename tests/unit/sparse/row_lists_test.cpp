// Work lists hold each selected (row, block) once, in strands of runs of queries.
#include "sparse/row_lists.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/rng.h"

namespace sparsescope {
namespace {

using Pair = std::pair<int32_t, int32_t>;  // token, range

RowSelection random_selection(const TokenLayout& layout, double density) {
  RowSelection selection(layout.num_tiles(), layout.video_tokens());
  for (int64_t s = 0; s < selection.num_rows; ++s) {
    for (int64_t c = 0; c < selection.num_blocks; ++c) {
      if (uniform(1, s * selection.num_blocks + c) < density) selection.select(c, s);
    }
  }
  return selection;
}

class RowLists : public ::testing::TestWithParam<std::tuple<double, int64_t>> {};

TEST_P(RowLists, HoldTheSelectionOnce) {
  const auto [density, text] = GetParam();
  const TokenLayout layout =
      make_token_layout(partition_blocks(parse_partition("st:3,4,5"), {9, 12, 25}), text, text / 2);
  const RowSelection selection = random_selection(layout, density);
  ThreadPool pool(2);
  const HeadLists lists = row_head_lists(layout, selection, 1, 2, pool);

  std::set<Pair> found;
  std::map<int32_t, int32_t> strand_of_row;
  for (int32_t i = 0; i < std::ssize(lists.strands); ++i) {
    const SparseStrand& strand = lists.strands[i];
    EXPECT_EQ(strand.batch, 1);
    EXPECT_EQ(strand.head, 2);
    for (int32_t at = strand.first_item; at < strand.first_item + strand.num_items; ++at) {
      const SparseItem& item = lists.items[at];
      EXPECT_TRUE(1 <= item.num_rows && item.num_rows <= 64);
      for (int32_t r = item.first_row; r < item.first_row + item.num_rows; ++r) {
        const auto [known, inserted] = strand_of_row.emplace(lists.rows[r], i);
        EXPECT_EQ(known->second, i) << "a row's partial results lie in one strand";
        for (int32_t id = item.first_range; id < item.first_range + item.num_ranges; ++id) {
          EXPECT_TRUE(found.emplace(lists.rows[r], lists.range_ids[id]).second);
        }
      }
    }
  }

  std::set<Pair> expected;
  for (int64_t s = 0; s < selection.num_rows; ++s) {
    for (int32_t c = 0; c < selection.num_blocks; ++c) {
      if (selection.selected(c, s)) expected.emplace(layout.order[s], c);
    }
    if (text > 0) expected.emplace(layout.order[s], static_cast<int32_t>(layout.num_tiles()));
  }
  for (int64_t s = selection.num_rows; s < layout.tokens(); ++s) {
    for (int32_t range = 0; range < std::ssize(layout.ranges); ++range) {
      expected.emplace(layout.order[s], range);
    }
  }
  EXPECT_EQ(found, expected);
}

INSTANTIATE_TEST_SUITE_P(Densities, RowLists,
                         ::testing::Combine(::testing::Values(0.0, 0.02, 0.3, 1.0),
                                            ::testing::Values(0, 7)));

}  // namespace
}  // namespace sparsescope
