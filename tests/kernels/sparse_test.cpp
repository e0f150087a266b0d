// Sparse attention: every implementation against the fp64 reference on lists of every form that the
// selectors make, and against dense attention where both must agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "kernels/attention_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

class SparseImpl : public ::testing::TestWithParam<Impl> {};

std::vector<int32_t> iota(int32_t count) {
  std::vector<int32_t> values(count);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

std::vector<int32_t> rows_of(const Problem& problem, const RowBlock& block) {
  const auto first = problem.rows().order.begin() + block.first;
  return {first, first + block.count};
}

// A random subset of [0, count), ascending; empty now and then.
std::vector<int32_t> random_subset(int32_t count, uint64_t key) {
  std::vector<int32_t> chosen;
  const double density = uniform(key, 1000003);
  for (int32_t i = 0; i < count; ++i) {
    if (uniform(key, i) < density - 0.15) chosen.push_back(i);
  }
  return chosen;
}

TEST_P(SparseImpl, TileListsAgreeWithTheReference) {
  const std::vector<Shape> shapes{
      {.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
      {.head_dim = 64, .grid = {4, 8, 16}},
      {.head_dim = 48, .grid = {3, 7, 13}, .tile = {3, 5, 4}, .suffix = 70},
      {.head_dim = 5, .grid = {1, 5, 13}, .tile = {1, 2, 2}},
      {.head_dim = 128, .grid = {6, 9, 5}, .tile = {6, 9, 5}},
  };
  for (const Shape& shape : shapes) {
    for (const Inputs inputs : {Inputs::kOutliers, Inputs::kLarge}) {
      SCOPED_TRACE(shape.name());
      const Problem problem(shape, inputs);
      Lists lists = lists_over_cells(problem);
      const auto num_ranges = static_cast<int32_t>(lists.ranges.size());
      size_t empty = 0;
      for (int32_t b = 0; b < shape.batch; ++b) {
        for (int32_t h = 0; h < shape.heads; ++h) {
          for (const RowBlock& block : problem.rows().blocks) {
            lists.add_strand(b, h, false);
            const auto chosen = random_subset(num_ranges, lists.items.size());
            empty += chosen.empty();
            // Rows in pieces of every width that a kernel may treat apart.
            const std::vector<int32_t> rows = rows_of(problem, block);
            for (size_t at = 0, n = 1 + lists.items.size() % 64; at < rows.size(); at += n) {
              const size_t end = std::min(rows.size(), at + n);
              lists.add_item({rows.begin() + at, rows.begin() + end}, chosen);
            }
          }
        }
      }
      const SparseResult expected = run_sparse(problem, lists, Impl::kReference);
      const SparseResult found = run_sparse(problem, lists, GetParam(), 2);
      const bool large = inputs == Inputs::kLarge;
      EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = large ? 3e-5 : 4e-6}));
      EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = large ? 2e-6 : 1e-6}));
    }
  }
}

TEST_P(SparseImpl, EveryRangeIsDense) {
  for (const Inputs inputs : {Inputs::kOutliers, Inputs::kLarge}) {
    const Problem problem({.heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3}, inputs);
    Lists lists = lists_over_cells(problem);
    for (int32_t h = 0; h < 2; ++h) {
      for (const RowBlock& block : problem.rows().blocks) {
        lists.add_strand(0, h, false);
        lists.add_item(rows_of(problem, block), iota(static_cast<int32_t>(lists.ranges.size())));
      }
    }
    const DenseResult dense = run_dense(problem, GetParam(), false);
    const SparseResult sparse = run_sparse(problem, lists, GetParam());
    EXPECT_TRUE(near(sparse.out, dense.out, {.max_scaled = 3e-6}));
    EXPECT_TRUE(near(sparse.lse, dense.lse, {.max_scaled = 1e-6}));
  }
}

// VMoBA's form: an item for each key block, with the rows that chose it.
TEST_P(SparseImpl, MergedStrandsAreTheUnion) {
  // Whole vectors of channels, and a last one that is padded.
  for (const auto& [inputs, head_dim] : {std::pair{Inputs::kOutliers, 24},
                                         {Inputs::kLarge, 24},
                                         {Inputs::kOutliers, 70},
                                         {Inputs::kOutliers, 128}}) {
    const Problem problem({.heads = 2, .head_dim = head_dim, .grid = {4, 8, 9}, .tile = {4, 4, 3}},
                          inputs);
    const auto tokens = static_cast<int32_t>(problem.shape().tokens());
    Lists merged = lists_over_cells(problem), whole = lists_over_cells(problem);
    const auto num_ranges = static_cast<int32_t>(merged.ranges.size());
    for (int32_t h = 0; h < 2; ++h) {
      std::vector<std::vector<int32_t>> ranges_of;  // [tokens]
      for (int32_t row = 0; row < tokens; ++row) {
        ranges_of.push_back(random_subset(num_ranges, 7000 + h * tokens + row));
        if (row % 5 == 0) continue;  // in no item
        whole.add_strand(0, h, false);
        whole.add_item({row}, ranges_of.back());
      }
      merged.add_strand(0, h, true);
      for (int32_t range = 0; range < num_ranges; ++range) {
        std::vector<int32_t> rows;
        for (int32_t row = 0; row < tokens; ++row) {
          const auto& mine = ranges_of[row];
          if (row % 5 == 0 || !std::binary_search(mine.begin(), mine.end(), range)) continue;
          rows.push_back(row);
        }
        for (size_t at = 0; at < rows.size(); at += kRowLanes) {
          const size_t end = std::min(rows.size(), at + kRowLanes);
          merged.add_item({rows.begin() + at, rows.begin() + end}, {range});
        }
      }
      // Rows without any range: an empty item, so that they are written all the same.
      for (int32_t row = 0; row < tokens; ++row) {
        if (row % 5 != 0 && ranges_of[row].empty()) merged.add_item({row}, {});
      }
    }
    const SparseResult expected = run_sparse(problem, whole, Impl::kReference);
    for (const int threads : {1, 2}) {
      const SparseResult found = run_sparse(problem, merged, GetParam(), threads);
      const bool large = inputs == Inputs::kLarge;
      EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = large ? 3e-5 : 4e-6}));
      EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = large ? 2e-6 : 1e-6}));
    }
    EXPECT_EQ(std::count(expected.lse.begin(), expected.lse.end(), kUntouched), 2 * 58);
  }
}

TEST_P(SparseImpl, EmptyListsAndUntouchedRows) {
  const Problem problem({.head_dim = 8, .grid = {1, 4, 4}, .tile = {1, 2, 2}}, Inputs::kOutliers);
  Lists lists = lists_over_cells(problem);
  lists.add_strand(0, 0, false);
  lists.add_item({3, 9}, {});
  const SparseResult found = run_sparse(problem, lists, GetParam());
  for (int64_t token = 0; token < 16; ++token) {
    const bool listed = token == 3 || token == 9;
    for (int64_t d = 0; d < 8; ++d) EXPECT_EQ(found.out[token * 8 + d], listed ? 0 : kUntouched);
    EXPECT_EQ(found.lse[token], listed ? -std::numeric_limits<float>::infinity() : kUntouched);
  }
}

TEST_P(SparseImpl, ThreadsDoNotChangeAnything) {
  const Problem problem({.heads = 3, .head_dim = 20, .grid = {5, 7, 6}}, Inputs::kOutliers);
  Lists lists = lists_over_cells(problem);
  for (int32_t h = 2; h >= 0; --h) {  // heads in any order
    for (const RowBlock& block : problem.rows().blocks) {
      lists.add_strand(0, h, false);
      lists.add_item(rows_of(problem, block), {0, 2, 3, 5});
    }
  }
  const SparseResult one = run_sparse(problem, lists, GetParam(), 1);
  for (const int threads : {2, 3}) {
    const SparseResult many = run_sparse(problem, lists, GetParam(), threads);
    EXPECT_EQ(one.out, many.out);
    EXPECT_EQ(one.lse, many.lse);
  }
}

// Rows that are to take a copy are not left unwritten in silence.
TEST_P(SparseImpl, CopiesAreRefused) {
  const Problem problem({.head_dim = 8, .grid = {1, 4, 4}, .tile = {1, 2, 2}}, Inputs::kOutliers);
  Lists lists = lists_over_cells(problem);
  lists.add_strand(0, 0, false);
  lists.add_item({3}, {0});
  const std::vector<int32_t> first{0, 1}, tokens{4};
  ThreadPool pool(1);
  EXPECT_THROW(attention_kernels(GetParam())
                   .sparse({.q = problem.q(),
                            .k = problem.k(),
                            .v = problem.v(),
                            .selection = lists.view(),
                            .copies = {1, first.data(), tokens.data()}},
                           pool),
               Error);
}

INSTANTIATE_TEST_SUITE_P(All, SparseImpl, ::testing::ValuesIn(available_impls()),
                         [](const auto& param) { return impl_test_name(param.param); });

}  // namespace
}  // namespace sparsescope::testing
