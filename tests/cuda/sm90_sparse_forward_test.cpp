// The Hopper body of block-sparse attention against the fp64 reference, on the lists and with the
// bounds of sparse_forward_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cuda/device_fixture.h"
#include "cuda/sparse_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

class Sm90Sparse : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (!use_compute_capability(9, 0)) GTEST_SKIP() << "no GPU test: this GPU is not a Hopper";
  }
};

SparseResult run(const Problem& problem, const Lists& lists,
                 int64_t wave_bytes = cuda::kWaveBytes) {
  return run_cuda_sparse(problem, lists, MemorySpace::kHost, wave_bytes, cuda::Body::kSm90);
}

void expect_near(const SparseResult& found, const SparseResult& expected, Dtype dtype) {
  const double rounding = dtype == Dtype::kF16 ? 0x1p-11 : 0x1p-8;
  EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = rounding})) << "out";
  EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 4e-6})) << "lse";
}

TEST_F(Sm90Sparse, TileListsAgreeWithTheReference) {
  for (const Shape& shape :
       {Shape{.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
        Shape{.head_dim = 64, .grid = {4, 8, 16}},
        Shape{.head_dim = 5, .grid = {1, 5, 13}, .tile = {1, 2, 2}},
        Shape{.head_dim = 128, .grid = {6, 9, 5}, .tile = {6, 9, 5}},
        Shape{.head_dim = 70, .grid = {4, 6, 5}, .tile = {2, 3, 5}}}) {
    for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
      SCOPED_TRACE(shape.name());
      const Problem problem(shape, Inputs::kOutliers, dtype);
      const Lists lists = tile_lists(problem);
      expect_near(run(problem, lists), run_sparse(problem, lists, Impl::kReference), dtype);
    }
  }
}

// Items of up to 32 rows have a kernel of their own. Maxima keep rising with large inputs.
TEST_F(Sm90Sparse, ShortItemsAgreeWithTheReference) {
  for (const Shape& shape :
       {Shape{.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
        Shape{.head_dim = 64, .grid = {4, 8, 16}},
        Shape{.head_dim = 128, .grid = {6, 9, 5}, .tile = {6, 9, 5}},
        Shape{.head_dim = 101, .grid = {4, 6, 5}, .tile = {2, 3, 5}}}) {
    for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
      for (const Inputs inputs : {Inputs::kOutliers, Inputs::kLarge, Inputs::kEqual}) {
        SCOPED_TRACE(shape.name());
        const Problem problem(shape, inputs, dtype);
        const Lists lists = short_lists(problem);
        expect_near(run(problem, lists), run_sparse(problem, lists, Impl::kReference), dtype);
      }
    }
  }
}

TEST_F(Sm90Sparse, CopiesTakeTheOutputOfTheirRow) {
  for (const int64_t head_dim : {128, 7}) {
    const Problem problem({.batch = 2, .heads = 2, .head_dim = head_dim, .grid = {4, 5, 9}},
                          Inputs::kOutliers, Dtype::kBF16);
    const KeptLists kept = kept_lists(problem);
    const SparseResult expected =
        kept.restored(problem, run_sparse(problem, kept.lists, Impl::kReference));
    expect_near(run_cuda_sparse(problem, kept.lists, MemorySpace::kHost, cuda::kWaveBytes,
                                cuda::Body::kSm90, kept.copies()),
                expected, Dtype::kBF16);
  }
}

TEST_F(Sm90Sparse, MergedStrandsAreTheUnion) {
  for (const int64_t head_dim : {24, 128}) {
    SCOPED_TRACE(head_dim);
    const Problem problem({.heads = 2, .head_dim = head_dim, .grid = {4, 8, 9}, .tile = {2, 4, 3}},
                          Inputs::kOutliers, Dtype::kBF16);
    expect_near(run(problem, merged_lists(problem)),
                run_sparse(problem, unmerged_lists(problem), Impl::kReference), Dtype::kBF16);
  }
}

// Pieces of every number of rows at every place of a tile.
TEST_F(Sm90Sparse, RangesOfEveryLength) {
  const Problem problem({.head_dim = 16, .grid = {1, 13, 16}}, Inputs::kOutliers, Dtype::kF16);
  Lists lists = lists_over_cells(problem);
  lists.ranges.clear();
  for (int32_t first = 0, count = 1; first + count <= 208; first += count, count += 3) {
    lists.ranges.push_back({first, count});
  }
  lists.ranges.push_back({17, 0});
  const auto num_ranges = static_cast<int32_t>(lists.ranges.size());
  for (int32_t row = 0; row < 200; ++row) {
    std::vector<int32_t> chosen;
    for (int32_t range = 0; range < num_ranges; ++range) {
      if ((row * 2654435761u >> (range + 7) & 1u) != 0) chosen.push_back(range);
    }
    lists.add_strand(0, 0, false);
    lists.add_item({row}, chosen);
  }
  expect_near(run(problem, lists), run_sparse(problem, lists, Impl::kReference), Dtype::kF16);
}

TEST_F(Sm90Sparse, EmptyListsAndUntouchedRows) {
  const Problem problem({.head_dim = 8, .grid = {1, 4, 4}, .tile = {1, 2, 2}}, Inputs::kOutliers);
  for (const bool merges : {false, true}) {
    Lists lists = lists_over_cells(problem);
    lists.add_strand(0, 0, merges);
    for (int32_t row = 0; row < 10; ++row) lists.add_item({row}, {});  // more than stages
    lists.add_strand(0, 0, merges);                                    // without items
    const SparseResult found = run(problem, lists);
    for (int64_t token = 0; token < 16; ++token) {
      const bool listed = token < 10;
      EXPECT_EQ(found.lse[token], listed ? -INFINITY : kUntouched);
      for (int64_t d = 0; d < 8; ++d) {
        EXPECT_EQ(found.out[token * 8 + d], listed ? 0.0f : kUntouched);
      }
    }
  }
}

TEST_F(Sm90Sparse, ResultsDoNotDependOnWavesOrSchedules) {
  const Problem problem({.batch = 2, .heads = 2, .head_dim = 40, .grid = {3, 6, 7}, .suffix = 9},
                        Inputs::kOutliers, Dtype::kBF16);
  for (const Lists& lists : {tile_lists(problem), short_lists(problem), merged_lists(problem)}) {
    const SparseResult first = run(problem, lists);
    const auto expect_same = [&](const SparseResult& other) {
      EXPECT_EQ(first.out, other.out);
      EXPECT_EQ(first.lse, other.lse);
    };
    for_each_schedule([&] { expect_same(run(problem, lists)); });
    expect_same(run(problem, lists, 1));
  }
}

}  // namespace
}  // namespace sparsescope::testing
