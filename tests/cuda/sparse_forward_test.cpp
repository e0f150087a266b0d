// Sparse attention on CUDA against the fp64 reference on the same 16-bit inputs, on lists of every
// form that the selectors make.
//
// Bounds: probabilities are rounded to the element type where they weigh V, to half a unit in the
// last place; an output is an average, so its error is at most that of the largest value, doubled
// for the values' spread. Sums and maxima are fp32.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "cuda/device_fixture.h"
#include "cuda/sparse_case.h"
#include "kernels/cuda/cuda_attention.h"
#include "support/expect_error.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

class CudaSparse : public CudaTest {};

double output_bound(Dtype dtype, Inputs inputs) {
  const double rounding = dtype == Dtype::kF16 ? 0x1p-11 : 0x1p-8;
  return inputs == Inputs::kLarge ? 2 * rounding + 3e-5 : rounding;
}

void expect_near(const SparseResult& found, const SparseResult& expected, Dtype dtype,
                 Inputs inputs) {
  EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = output_bound(dtype, inputs)})) << "out";
  EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 4e-6})) << "lse";
}

std::vector<Shape> shapes() {
  return {{.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
          {.head_dim = 64, .grid = {4, 8, 16}},
          {.head_dim = 48, .grid = {3, 7, 13}, .tile = {3, 5, 4}, .suffix = 70},
          {.head_dim = 5, .grid = {1, 5, 13}, .tile = {1, 2, 2}},
          {.head_dim = 128, .grid = {6, 9, 5}, .tile = {6, 9, 5}},
          {.head_dim = 70, .grid = {4, 6, 5}, .tile = {2, 3, 5}}};
}

TEST_F(CudaSparse, TileListsAgreeWithTheReference) {
  for (const Shape& shape : shapes()) {
    for (const auto& [dtype, inputs] : {std::pair{Dtype::kBF16, Inputs::kOutliers},
                                        {Dtype::kBF16, Inputs::kLarge},
                                        {Dtype::kF16, Inputs::kOutliers}}) {
      SCOPED_TRACE(shape.name());
      const Problem problem(shape, inputs, dtype);
      const Lists lists = tile_lists(problem);
      const SparseResult expected = run_sparse(problem, lists, Impl::kReference);
      expect_near(run_cuda_sparse(problem, lists), expected, dtype, inputs);
    }
  }
}

TEST_F(CudaSparse, CopiesTakeTheOutputOfTheirRow) {
  for (const int64_t head_dim : {128, 7}) {
    const Problem problem({.batch = 2, .heads = 2, .head_dim = head_dim, .grid = {4, 5, 9}},
                          Inputs::kOutliers, Dtype::kBF16);
    const KeptLists kept = kept_lists(problem);
    const SparseResult expected =
        kept.restored(problem, run_sparse(problem, kept.lists, Impl::kReference));
    for (const MemorySpace space : {MemorySpace::kHost, MemorySpace::kDevice}) {
      expect_near(run_cuda_sparse(problem, kept.lists, space, cuda::kWaveBytes, cuda::Body::kSm80,
                                  kept.copies()),
                  expected, Dtype::kBF16, Inputs::kOutliers);
    }
  }
}

TEST_F(CudaSparse, MergedStrandsAreTheUnion) {
  for (const int64_t head_dim : {24, 70, 128}) {
    for (const Inputs inputs : {Inputs::kOutliers, Inputs::kLarge}) {
      SCOPED_TRACE(head_dim);
      const Problem problem(
          {.heads = 2, .head_dim = head_dim, .grid = {4, 8, 9}, .tile = {2, 4, 3}}, inputs,
          Dtype::kBF16);
      const SparseResult expected = run_sparse(problem, unmerged_lists(problem), Impl::kReference);
      const SparseResult found = run_cuda_sparse(problem, merged_lists(problem));
      expect_near(found, expected, Dtype::kBF16, inputs);
    }
  }
}

// fp32 inputs count as if they had been rounded to bf16.
TEST_F(CudaSparse, Fp32InputsAreRoundedToBf16) {
  const Shape shape{.heads = 2, .head_dim = 64, .grid = {2, 8, 9}, .prefix = 5};
  const Problem fp32(shape, Inputs::kOutliers), bf16(shape, Inputs::kOutliers, Dtype::kBF16);
  const Lists lists = tile_lists(fp32);
  const SparseResult rounded = run_cuda_sparse(bf16, lists), found = run_cuda_sparse(fp32, lists);
  EXPECT_EQ(found.out, rounded.out);
  EXPECT_EQ(found.lse, rounded.lse);
}

TEST_F(CudaSparse, TokenMajorInputsAreReadWhereTheyStand) {
  const Shape shape{.batch = 2, .heads = 3, .head_dim = 64, .grid = {1, 8, 9}};
  const Problem problem(shape, Inputs::kOutliers, Dtype::kBF16, true);
  const Lists lists = tile_lists(problem);
  const SparseResult expected = run_sparse(problem, lists, Impl::kReference);
  expect_near(run_cuda_sparse(problem, lists), expected, Dtype::kBF16, Inputs::kOutliers);
}

TEST_F(CudaSparse, EveryRangeIsDense) {
  const Problem problem({.heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
                        Inputs::kOutliers, Dtype::kBF16);
  Lists lists = lists_over_cells(problem);
  std::vector<int32_t> all(lists.ranges.size());
  std::iota(all.begin(), all.end(), 0);
  for (int32_t h = 0; h < 2; ++h) {
    for (const RowBlock& block : problem.rows().blocks) {
      lists.add_strand(0, h, false);
      lists.add_item(rows_of(problem, block), all);
    }
  }
  const DenseResult dense = run_dense(problem, Impl::kReference, false);
  const SparseResult found = run_cuda_sparse(problem, lists);
  expect_near(found, {dense.out, dense.lse}, Dtype::kBF16, Inputs::kOutliers);
}

// Lists of every length around the borders of key blocks: one row's keys are the first n.
TEST_F(CudaSparse, EveryNumberOfKeys) {
  const Problem problem({.head_dim = 16, .grid = {1, 13, 16}}, Inputs::kOutliers, Dtype::kBF16);
  Lists lists = lists_over_cells(problem);
  lists.ranges.clear();
  for (int32_t i = 0; i < 208; ++i) lists.ranges.push_back({207 - i, 1});
  lists.ranges.push_back({0, 0});
  for (int32_t n = 0; n <= 200; ++n) {
    std::vector<int32_t> ids(n);
    std::iota(ids.begin(), ids.end(), 0);
    if (n % 3 == 0) ids.push_back(208);  // an empty range
    lists.add_strand(0, 0, false);
    lists.add_item({n}, ids);
  }
  const SparseResult expected = run_sparse(problem, lists, Impl::kReference);
  expect_near(run_cuda_sparse(problem, lists), expected, Dtype::kBF16, Inputs::kOutliers);
}

// Strands 0, 2 with rows below 33; 1 with more; 3 of a pair; 4 merges; 5 without items.
TEST_F(CudaSparse, StrandsByHeight) {
  const Problem problem({.head_dim = 8, .grid = {1, 13, 16}}, Inputs::kOutliers);
  Lists lists = lists_over_cells(problem);
  const auto rows = [](int32_t first, int32_t count) {
    std::vector<int32_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), first);
    return numbers;
  };
  lists.add_strand(0, 0, false);
  lists.add_item(rows(0, 32), {0});
  lists.add_strand(0, 0, false);
  lists.add_item(rows(32, 5), {0});
  lists.add_item(rows(37, 33), {0, 1});
  lists.add_strand(0, 0, false);
  lists.add_item(rows(70, 2), {0});
  lists.add_item(rows(72, 2), {0});
  lists.add_strand(0, 0, false);
  lists.add_item(rows(80, 2), {0});
  lists.add_item(rows(82, 2), {1});
  lists.add_item_beside(rows(84, 2));
  lists.add_strand(0, 0, true);
  lists.add_item(rows(90, 2), {0});
  lists.add_strand(0, 0, false);
  const ListsOnDevice on_device(lists);
  const int64_t num_strands = std::ssize(lists.strands);
  cuda::DeviceBuffer<int32_t> strands(cuda::kNumHeights * num_strands, nullptr),
      counts(cuda::kNumHeights, nullptr);
  cuda::list_strands_by_height(on_device.view(), 1, 0, 1, strands.data(), counts.data(), nullptr);
  const std::vector<std::vector<int32_t>> expected = {{0, 2, 5}, {1}, {3, 4}};
  const auto found = cuda::to_host(strands, nullptr), found_counts = cuda::to_host(counts, nullptr);
  for (size_t height = 0; height < expected.size(); ++height) {
    const auto first = found.begin() + static_cast<int64_t>(height) * num_strands;
    EXPECT_EQ(std::vector<int32_t>(first, first + found_counts[height]), expected[height]);
  }
}

// More of each than a thread block counts at a time.
TEST_F(CudaSparse, ManyStrandsAndRanges) {
  const Problem problem({.heads = 2, .head_dim = 16, .grid = {1, 23, 23}, .tile = {1, 1, 1}},
                        Inputs::kOutliers, Dtype::kBF16);
  const Lists lists = unmerged_lists(problem);
  ASSERT_GT(lists.strands.size(), 512);
  ASSERT_GT(lists.ranges.size(), 512);
  const SparseResult expected = run_sparse(problem, lists, Impl::kReference);
  expect_near(run_cuda_sparse(problem, lists), expected, Dtype::kBF16, Inputs::kOutliers);
}

TEST_F(CudaSparse, EmptyListsAndUntouchedRows) {
  const Problem problem({.head_dim = 8, .grid = {1, 4, 4}, .tile = {1, 2, 2}}, Inputs::kOutliers);
  for (const bool merges : {false, true}) {
    Lists lists = lists_over_cells(problem);
    lists.add_strand(0, 0, merges);
    lists.add_item({3, 9}, {});
    lists.add_strand(0, 0, merges);  // without items
    const SparseResult found = run_cuda_sparse(problem, lists);
    for (int64_t token = 0; token < 16; ++token) {
      const bool listed = token == 3 || token == 9;
      EXPECT_EQ(found.lse[token], listed ? -INFINITY : kUntouched);
      for (int64_t d = 0; d < 8; ++d) {
        EXPECT_EQ(found.out[token * 8 + d], listed ? 0.0f : kUntouched);
      }
    }
  }
}

// Nothing to pack, no ranges: grids without blocks, which the runtime refuses.
TEST_F(CudaSparse, NoKeysAtAll) {
  const Problem problem({.head_dim = 8, .grid = {1, 4, 4}, .tile = {1, 2, 2}}, Inputs::kOutliers);
  Lists lists;
  lists.add_strand(0, 0, false);
  lists.add_item({3, 9}, {});
  const SparseResult found = run_cuda_sparse(problem, lists);
  for (const int64_t token : {3, 9}) {
    EXPECT_EQ(found.lse[token], -INFINITY);
    for (int64_t d = 0; d < 8; ++d) EXPECT_EQ(found.out[token * 8 + d], 0.0f);
  }
}

// Heads in one wave or in several, threads in any order, lists here or there: the same bits.
TEST_F(CudaSparse, ResultsDoNotDependOnWavesOrSchedules) {
  const Problem problem({.batch = 2, .heads = 3, .head_dim = 40, .grid = {3, 6, 7}, .suffix = 9},
                        Inputs::kOutliers, Dtype::kBF16);
  for (const Lists& lists : {tile_lists(problem), merged_lists(problem)}) {
    const SparseResult first = run_cuda_sparse(problem, lists);
    const auto expect_same = [&](const SparseResult& other) {
      EXPECT_EQ(first.out, other.out);
      EXPECT_EQ(first.lse, other.lse);
    };
    for_each_schedule([&] { expect_same(run_cuda_sparse(problem, lists)); });
    expect_same(run_cuda_sparse(problem, lists, MemorySpace::kHost, 1));
    expect_same(run_cuda_sparse(problem, lists, MemorySpace::kDevice, 200000));
  }
}

TEST_F(CudaSparse, LseMayBeLeftOut) {
  const Problem problem({.heads = 2, .head_dim = 24, .grid = {2, 8, 9}, .tile = {2, 4, 3}},
                        Inputs::kOutliers, Dtype::kBF16);
  const Lists lists = merged_lists(problem);
  const SparseResult expected = run_cuda_sparse(problem, lists);
  std::vector<float> out(expected.out.size(), kUntouched);
  SparseAttentionParams params{.q = problem.q(), .k = problem.k(), .v = problem.v()};
  params.scale = problem.scale();
  params.out = contiguous_output(out.data(), 2, problem.shape().tokens(), 24);
  params.selection = lists.view();
  cuda::sparse_attention(params, cuda::Body::kSm80);
  EXPECT_EQ(out, expected.out);
}

TEST_F(CudaSparse, LargeHeadDimsAreRefused) {
  const Problem problem({.head_dim = 144, .grid = {1, 4, 4}}, Inputs::kOutliers);
  const std::string message =
      error_of(ErrorKind::kUnsupported, [&] { run_cuda_sparse(problem, tile_lists(problem)); });
  EXPECT_THAT(message, ::testing::HasSubstr("expected a head dim of at most 128, found 144"));
}

}  // namespace
}  // namespace sparsescope::testing
