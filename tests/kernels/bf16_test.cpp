// bf16 inputs on every implementation. Sums of probabilities are fp32 everywhere: log-sum-exp and
// masses hold to fp32 bounds. Where the processor's bf16 product is used, the probabilities that
// weigh V are rounded to 8 bits, and only there.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "kernels/attention_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

// Half a unit in the last place of bf16, twice over: the error is an average of rounding errors.
double output_bound(Impl impl) { return impl == Impl::kCpuAvx512Bf16 ? 0x1p-8 : 4e-6; }

class Bf16Impl : public ::testing::TestWithParam<Impl> {};

std::vector<Shape> shapes() {
  return {{.head_dim = 8, .grid = {1, 1, 1}},
          {.heads = 2, .head_dim = 5, .grid = {1, 1, 7}},
          {.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
          {.head_dim = 64, .grid = {4, 8, 16}},
          {.head_dim = 48, .grid = {7, 13, 5}, .tile = {3, 5, 5}},
          {.head_dim = 128, .grid = {3, 9, 11}, .suffix = 5},
          {.head_dim = 256, .grid = {4, 8, 9}, .prefix = 1, .suffix = 70},
          {.head_dim = 1, .grid = {2, 2, 37}, .tile = {1, 1, 1}},
          {.head_dim = 16, .grid = {3, 11, 13}, .tile = {3, 11, 13}}};
}

TEST_P(Bf16Impl, DenseAndMassesAgreeWithTheReference) {
  for (const Shape& shape : shapes()) {
    for (const Inputs inputs : {Inputs::kOutliers, Inputs::kLarge}) {
      SCOPED_TRACE(shape.name());
      const bool large = inputs == Inputs::kLarge;
      const Problem problem(shape, inputs, Dtype::kBF16);
      const DenseResult expected = run_dense(problem, Impl::kReference, true);
      const DenseResult found = run_dense(problem, GetParam(), true, 2);
      const DenseResult plain = run_dense(problem, GetParam(), false);
      EXPECT_TRUE(near(
          found.out, expected.out,
          {.max_scaled = large ? 2 * output_bound(GetParam()) + 3e-5 : output_bound(GetParam())}));
      EXPECT_TRUE(near(plain.out, found.out, {.max_scaled = large ? 6e-5 : 8e-6}));
      EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = large ? 2e-6 : 1e-6}));
      EXPECT_TRUE(near(found.mass, expected.mass, {.max_scaled = large ? 1e-4 : 5e-6}));
      EXPECT_TRUE(near(found.mass_w, expected.mass_w, {.max_scaled = large ? 1e-4 : 5e-6}));
      EXPECT_TRUE(near(found.entropy, expected.entropy, {.max_abs = large ? 1e-4 : 2e-5}));
    }
  }
}

// Ranges that start and end within a pair of keys, alone and joined.
TEST_P(Bf16Impl, OddRangesAgreeWithTheReference) {
  const Problem problem({.heads = 2, .head_dim = 24, .grid = {1, 9, 15}, .tile = {1, 3, 5}},
                        Inputs::kOutliers, Dtype::kBF16);
  Lists lists = lists_over_cells(problem);
  for (int32_t h = 0; h < 2; ++h) {
    for (const RowBlock& block : problem.rows().blocks) {
      const auto first = problem.rows().order.begin() + block.first;
      const int32_t i = static_cast<int32_t>(lists.items.size());
      lists.add_strand(0, h, false);
      std::vector<int32_t> chosen;
      for (int32_t range = 0; range < static_cast<int32_t>(lists.ranges.size()); ++range) {
        if (uniform(i, range) < 0.6) chosen.push_back(range);
      }
      lists.add_item({first, first + block.count}, chosen);
    }
  }
  const SparseResult expected = run_sparse(problem, lists, Impl::kReference);
  const SparseResult found = run_sparse(problem, lists, GetParam(), 2);
  EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = output_bound(GetParam())}));
  EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 1e-6}));
}

// Rows that meet in several items, each of one range or of two, against the same rows one by one.
TEST_P(Bf16Impl, MergedStrandsAreTheUnion) {
  for (const auto& [head_dim, inputs] : {std::pair{24, Inputs::kOutliers},
                                         {70, Inputs::kOutliers},
                                         {128, Inputs::kOutliers},
                                         {70, Inputs::kLarge}}) {
    SCOPED_TRACE(head_dim);
    const Problem problem({.head_dim = head_dim, .grid = {3, 9, 15}, .tile = {1, 3, 5}}, inputs,
                          Dtype::kBF16);
    const auto tokens = static_cast<int32_t>(problem.shape().tokens());
    Lists merged = lists_over_cells(problem), whole = lists_over_cells(problem);
    const auto num_ranges = static_cast<int32_t>(merged.ranges.size());
    const auto chooses = [](int32_t row, int32_t pair) { return uniform(row, pair) < 0.3; };
    for (int32_t row = 0; row < tokens; ++row) {
      std::vector<int32_t> ranges;
      for (int32_t range = 0; range < num_ranges; ++range) {
        if (chooses(row, range / 2)) ranges.push_back(range);
      }
      whole.add_strand(0, 0, false);
      whole.add_item({row}, ranges);
    }
    merged.add_strand(0, 0, true);
    for (int32_t range = 0; range < num_ranges; range += 2) {
      std::vector<int32_t> rows, ranges{range};
      if (range + 1 < num_ranges) ranges.push_back(range + 1);
      for (int32_t row = 0; row < tokens; ++row) {
        if (chooses(row, range / 2)) rows.push_back(row);
      }
      for (size_t at = 0; at < rows.size(); at += kRowLanes) {
        const size_t end = std::min(rows.size(), at + kRowLanes);
        merged.add_item({rows.begin() + at, rows.begin() + end}, ranges);
      }
    }
    // Rows that chose nothing are written all the same.
    for (int32_t row = 0; row < tokens; ++row) merged.add_item({row}, {});
    const SparseResult expected = run_sparse(problem, whole, Impl::kReference);
    const SparseResult found = run_sparse(problem, merged, GetParam(), 2);
    const bool large = inputs == Inputs::kLarge;
    const double bound = output_bound(GetParam());
    EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = large ? 2 * bound + 3e-5 : bound}));
    EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = large ? 2e-6 : 1e-6}));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Bf16Impl, ::testing::ValuesIn(available_impls()),
                         [](const auto& param) { return impl_test_name(param.param); });

}  // namespace
}  // namespace sparsescope::testing
