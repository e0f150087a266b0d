// Gradients on CUDA against the fp64 reference on the same 16-bit inputs, on lists of every form
// that the selectors make.
//
// The Hopper body adds dq up by atomics unless it is told to be deterministic: all else is the same
// bit for bit, from run to run.
//
// Bounds: a unit in the last place of the element type in norm. dS is rounded to half a unit, and
// its delta takes the error of the forward pass's output, which is the same again; dV only has that
// of P. Single elements may lie twice as far away.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "cuda/device_fixture.h"
#include "cuda/sparse_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

class CudaSparseBackward : public CudaTest, public ::testing::WithParamInterface<BackwardKernels> {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (GetParam().body == cuda::Body::kSm90 && !use_compute_capability(9, 0)) {
      GTEST_SKIP() << "no GPU test: this GPU is not a Hopper";
    }
  }

  // Both passes on CUDA.
  static Gradients run_both(const Problem& problem, const Lists& lists,
                            const std::vector<uint8_t>& d_out,
                            MemorySpace space = MemorySpace::kHost,
                            int64_t wave_bytes = cuda::kWaveBytes) {
    const SparseResult forward = run_cuda_sparse(problem, lists);
    return run_cuda_backward(problem, lists, forward, d_out, GetParam(), space, wave_bytes);
  }

  static bool adds_atomically() {
    return GetParam().body == cuda::Body::kSm90 && !GetParam().deterministic;
  }

  static void expect_same(const Gradients& found, const Gradients& expected) {
    if (adds_atomically()) {
      EXPECT_TRUE(near(found.dq, expected.dq, {.max_scaled = 1e-5}));
    } else {
      EXPECT_EQ(found.dq, expected.dq);
    }
    EXPECT_EQ(found.dk, expected.dk);
    EXPECT_EQ(found.dv, expected.dv);
  }
};

std::string name_of(const ::testing::TestParamInfo<BackwardKernels>& kernels) {
  const std::string body = kernels.param.body == cuda::Body::kSm90 ? "Sm90" : "Sm80";
  return body + (kernels.param.deterministic ? "Deterministic" : "");
}
INSTANTIATE_TEST_SUITE_P(
    Bodies, CudaSparseBackward,
    ::testing::Values(BackwardKernels{}, BackwardKernels{.body = cuda::Body::kSm90},
                      BackwardKernels{.body = cuda::Body::kSm90, .deterministic = true}),
    name_of);

// units: in the last place of the element type
Tolerance tolerance_of(Dtype dtype, double units = 1) {
  const double unit = units * (dtype == Dtype::kF16 ? 0x1p-11 : 0x1p-8);
  return {.max_scaled = 2 * unit, .rel_l2 = unit};
}

void expect_near(const Gradients& found, const Gradients& expected, Dtype dtype, double units = 1) {
  const Tolerance tolerance = tolerance_of(dtype, units);
  EXPECT_TRUE(near(found.dq, expected.dq, tolerance)) << "dq";
  EXPECT_TRUE(near(found.dk, expected.dk, tolerance)) << "dk";
  EXPECT_TRUE(near(found.dv, expected.dv, tolerance)) << "dv";
}

TEST_P(CudaSparseBackward, TileListsAgreeWithTheReference) {
  const std::vector<Shape> shapes{
      {.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
      {.head_dim = 64, .grid = {2, 8, 16}},
      {.head_dim = 48, .grid = {3, 7, 13}, .tile = {3, 5, 4}, .suffix = 70},
      {.head_dim = 5, .grid = {1, 5, 13}, .tile = {1, 2, 2}},
      {.head_dim = 128, .grid = {6, 9, 5}, .tile = {6, 9, 5}},
  };
  for (const Shape& shape : shapes) {
    for (const auto& [dtype, inputs] : {std::pair{Dtype::kBF16, Inputs::kOutliers},
                                        {Dtype::kBF16, Inputs::kEqual},
                                        {Dtype::kF16, Inputs::kOutliers}}) {
      SCOPED_TRACE(shape.name());
      const Problem problem(shape, inputs, dtype);
      const Lists lists = tile_lists(problem);
      const std::vector<uint8_t> d_out = draw_d_out(problem);
      const Gradients expected = run_reference_backward(problem, lists, d_out);
      expect_near(run_both(problem, lists, d_out), expected, dtype);
    }
  }
}

TEST_P(CudaSparseBackward, MergedStrandsAgreeWithTheReference) {
  for (const int64_t head_dim : {24, 70, 128}) {
    SCOPED_TRACE(head_dim);
    const Problem problem({.heads = 2, .head_dim = head_dim, .grid = {4, 8, 9}, .tile = {2, 4, 3}},
                          Inputs::kOutliers, Dtype::kBF16);
    const Lists lists = merged_lists(problem);
    const std::vector<uint8_t> d_out = draw_d_out(problem);
    const Gradients expected = run_reference_backward(problem, lists, d_out);
    expect_near(run_both(problem, lists, d_out), expected, Dtype::kBF16);
  }
}

// More of each than a thread block counts at a time.
TEST_P(CudaSparseBackward, ManyStrandsAndRanges) {
  const Problem problem({.heads = 2, .head_dim = 16, .grid = {1, 23, 23}, .tile = {1, 1, 1}},
                        Inputs::kOutliers, Dtype::kBF16);
  const Lists lists = unmerged_lists(problem);
  const std::vector<uint8_t> d_out = draw_d_out(problem);
  const Gradients expected = run_reference_backward(problem, lists, d_out);
  expect_near(run_both(problem, lists, d_out), expected, Dtype::kBF16);
}

// Rows that peak on few keys: delta cancels nearly all of dP.
TEST_P(CudaSparseBackward, LargeScores) {
  const Problem problem({.heads = 2, .head_dim = 64, .grid = {4, 8, 9}, .suffix = 5},
                        Inputs::kLarge, Dtype::kBF16);
  const Lists lists = tile_lists(problem);
  const std::vector<uint8_t> d_out = draw_d_out(problem);
  const Gradients expected = run_reference_backward(problem, lists, d_out);
  expect_near(run_both(problem, lists, d_out), expected, Dtype::kBF16, 2);
}

// Rows whose keys all score far below zero, against which what stands in a tile beside its keys,
// with score zero, would have an infinite probability. The keys are nearly equal, so that most of
// dq cancels.
TEST_P(CudaSparseBackward, NothingCountsBesideTheKeys) {
  const Problem problem({.head_dim = 64, .grid = {4, 4, 10}, .tile = {1, 4, 4}}, Inputs::kClimbing,
                        Dtype::kBF16);
  Lists lists = lists_over_cells(problem);
  const auto last = static_cast<int32_t>(lists.ranges.size()) - 1;
  ASSERT_LT(lists.ranges[last].count, 64);
  std::vector<int32_t> rows(64);
  std::iota(rows.begin(), rows.end(), 0);
  lists.add_strand(0, 0, false);
  lists.add_item(rows, {last});
  const std::vector<uint8_t> d_out = draw_d_out(problem);
  const SparseResult forward = run_cuda_sparse(problem, lists);
  ASSERT_LT(std::ranges::min(forward.lse), -100.0f);  // 2^144 is infinite
  const Gradients found = run_cuda_backward(problem, lists, forward, d_out, GetParam());
  EXPECT_TRUE(std::ranges::all_of(found.dq, [](float x) { return std::isfinite(x); }));
  const Gradients expected = run_reference_backward(problem, lists, d_out);
  EXPECT_TRUE(near(found.dk, expected.dk, tolerance_of(Dtype::kBF16)));
  EXPECT_TRUE(near(found.dv, expected.dv, tolerance_of(Dtype::kBF16)));
}

// fp32 inputs and d_out count as if they had been rounded to bf16.
TEST_P(CudaSparseBackward, Fp32InputsAreRoundedToBf16) {
  const Shape shape{.heads = 2, .head_dim = 64, .grid = {2, 8, 9}, .prefix = 5};
  const Problem fp32(shape, Inputs::kOutliers), bf16(shape, Inputs::kOutliers, Dtype::kBF16);
  const Lists lists = tile_lists(fp32);
  const Gradients rounded = run_both(bf16, lists, draw_d_out(bf16));
  const Gradients found = run_both(fp32, lists, draw_d_out(fp32));
  expect_same(found, rounded);
}

// What no list holds has gradient zero, rows in no item and rows without keys too; heads without a
// strand are left alone.
TEST_P(CudaSparseBackward, KeysInNoListAndRowsInNoItem) {
  const Shape shape{.heads = 3, .head_dim = 8, .grid = {1, 4, 6}, .tile = {1, 2, 2}};
  const Problem problem(shape, Inputs::kOutliers, Dtype::kBF16);
  Lists lists = lists_over_cells(problem);
  lists.key_order.resize(20);  // the last cell's tokens are no keys at all
  lists.ranges.pop_back();
  lists.add_strand(0, 1, false);
  lists.add_item({3, 9}, {0, 2});
  lists.add_item({4}, {});
  for (const int64_t wave_bytes : {int64_t{1}, cuda::kWaveBytes}) {
    const Gradients found =
        run_both(problem, lists, draw_d_out(problem), MemorySpace::kDevice, wave_bytes);
    for (int64_t i = 0; i < 3 * shape.tokens() * 8; ++i) {
      const int64_t head = i / (shape.tokens() * 8), token = i / 8 % shape.tokens();
      if (head != 1) {
        EXPECT_EQ(found.dq[i], kUntouched);
        EXPECT_EQ(found.dk[i], kUntouched);
        EXPECT_EQ(found.dv[i], kUntouched);
        continue;
      }
      bool listed = false;
      for (const int32_t range : {0, 2}) {
        const KeyRange& keys = lists.ranges[range];
        for (int32_t j = 0; j < keys.count; ++j) listed |= lists.key_order[keys.first + j] == token;
      }
      EXPECT_EQ(found.dq[i] != 0, token == 3 || token == 9);
      EXPECT_EQ(found.dk[i] != 0, listed);
      EXPECT_EQ(found.dv[i] != 0, listed);
    }
  }
}

// Lists without ranges, of some keys or of none: grids without blocks, which the runtime refuses.
TEST_P(CudaSparseBackward, NoRangesAtAll) {
  const Problem problem({.head_dim = 8, .grid = {1, 4, 6}, .tile = {1, 2, 2}}, Inputs::kOutliers,
                        Dtype::kBF16);
  for (const size_t num_keys : {20, 0}) {
    Lists lists = lists_over_cells(problem);
    lists.key_order.resize(num_keys);
    lists.ranges.clear();
    lists.add_strand(0, 0, false);
    lists.add_item({3, 9}, {});
    const Gradients found = run_both(problem, lists, draw_d_out(problem));
    const std::vector<float> zeros(24 * 8);
    EXPECT_EQ(found.dq, zeros);
    EXPECT_EQ(found.dk, zeros);
    EXPECT_EQ(found.dv, zeros);
  }
}

// Heads in one wave or in several, threads in any order, lists here or there: the same bits.
TEST_P(CudaSparseBackward, ResultsDoNotDependOnWavesOrSchedules) {
  const Problem problem({.batch = 2, .heads = 3, .head_dim = 40, .grid = {3, 6, 7}, .suffix = 9},
                        Inputs::kOutliers, Dtype::kBF16);
  const std::vector<uint8_t> d_out = draw_d_out(problem);
  for (const Lists& lists : {tile_lists(problem), merged_lists(problem)}) {
    const Gradients first = run_both(problem, lists, d_out);
    for_each_schedule([&] { expect_same(run_both(problem, lists, d_out), first); });
    expect_same(run_both(problem, lists, d_out, MemorySpace::kHost, 1), first);
    expect_same(run_both(problem, lists, d_out, MemorySpace::kDevice, 300000), first);
  }
}

}  // namespace
}  // namespace sparsescope::testing
