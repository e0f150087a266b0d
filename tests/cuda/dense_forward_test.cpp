// CUDA dense attention and its masses against the fp64 reference on the same 16-bit inputs, and the
// laws that hold whatever the inputs are.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "cuda/device_fixture.h"
#include "kernels/attention_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

// Those that the kernels take; the largest head dim that is padded; tiles in several rows and
// frames, so that regular blocks change their place.
std::vector<Shape> shapes() {
  std::vector<Shape> shapes = dense_shapes();
  std::erase_if(shapes, [](const Shape& shape) { return shape.head_dim > 128; });
  shapes.push_back({.head_dim = 100, .grid = {4, 8, 9}, .prefix = 1, .suffix = 70});
  shapes.push_back({.head_dim = 64, .grid = {9, 7, 10}});
  return shapes;
}

using Param = std::tuple<Dtype, Inputs>;

class CudaDense : public CudaTest, public ::testing::WithParamInterface<Param> {
 protected:
  Dtype dtype() const { return std::get<0>(GetParam()); }
  Inputs inputs() const { return std::get<1>(GetParam()); }
  bool large() const { return inputs() == Inputs::kLarge; }
  // Each probability is rounded to the element type before it weighs v: half a unit in the last
  // place, 2^-9 in bf16 and 2^-12 in fp16; twice that as a bound, since scores add rounding of
  // their own. Equal scores average v, of either sign and up to 60, to almost nothing: there the
  // probabilities are exact.
  Tolerance output_bound() const {
    if (inputs() == Inputs::kEqual) return {.max_abs = 3e-6};
    const double unit = dtype() == Dtype::kBF16 ? 0x1p-8 : 0x1p-11;
    return {.max_scaled = large() ? 2 * unit + 3e-5 : unit + 4e-6};
  }
  // Sums of probabilities are fp32 of products that are exact in fp32: the bounds of the CPU's fp32
  // kernels. Scores of x16 inputs reach hundreds, and their rounding moves the exponent.
  Tolerance lse_bound() const { return {.max_scaled = large() ? 2e-6 : 1e-6}; }
  Tolerance mass_bound() const { return {.max_abs = large() ? 1e-4 : 5e-6}; }
  Tolerance entropy_bound() const { return {.max_abs = large() ? 4e-4 : 2e-5}; }
};

double sum(const std::vector<float>& values, size_t first, size_t count) {
  return std::accumulate(values.begin() + first, values.begin() + first + count, 0.0);
}

void expect_laws_of_mass(const Problem& problem, const DenseResult& found) {
  const size_t cells = problem.cells().cells.size();
  const auto video_cells = static_cast<size_t>(problem.cells().num_video_cells);
  const TokenGrid& grid = problem.shape().grid;
  for (size_t row = 0; row < found.entropy.size(); ++row) {
    const double video = sum(found.mass, row * cells, video_cells);
    ASSERT_NEAR(sum(found.mass, row * cells, cells), 1, 3e-6);
    ASSERT_NEAR(sum(found.mass_t, row * grid.t, grid.t), video, 3e-6);
    ASSERT_NEAR(sum(found.mass_h, row * grid.h, grid.h), video, 3e-6);
    ASSERT_NEAR(sum(found.mass_w, row * grid.w, grid.w), video, 3e-6);
    ASSERT_GE(found.entropy[row], 0);
    ASSERT_LE(found.entropy[row], std::log(static_cast<double>(problem.shape().tokens())) + 1e-5);
  }
}

TEST_P(CudaDense, AgreesWithTheReference) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape.name());
    const Problem problem(shape, inputs(), dtype());
    const DenseResult expected = run_dense(problem, Impl::kReference, true);
    const DenseResult found = run_dense(problem, Impl::kCudaSm80, true);
    EXPECT_TRUE(near(found.out, expected.out, output_bound()));
    EXPECT_TRUE(near(found.lse, expected.lse, lse_bound()));
    EXPECT_TRUE(near(found.row_lse, expected.row_lse, lse_bound()));
    EXPECT_TRUE(near(found.mass, expected.mass, mass_bound()));
    EXPECT_TRUE(near(found.entropy, expected.entropy, entropy_bound()));
    EXPECT_TRUE(near(found.mass_t, expected.mass_t, mass_bound()));
    EXPECT_TRUE(near(found.mass_h, expected.mass_h, mass_bound()));
    EXPECT_TRUE(near(found.mass_w, expected.mass_w, mass_bound()));
    EXPECT_EQ(found.dirty_lanes, 0);
    expect_laws_of_mass(problem, found);
    // The plain pass takes keys in another order: sums differ by rounding.
    const DenseResult plain = run_dense(problem, Impl::kCudaSm80, false);
    EXPECT_TRUE(near(plain.out, expected.out, output_bound()));
    EXPECT_TRUE(near(plain.lse, found.lse, {.max_scaled = 1e-6}));
  }
}

std::string param_name(const ::testing::TestParamInfo<Param>& info) {
  const Inputs inputs = std::get<1>(info.param);
  return std::string(dtype_name(std::get<0>(info.param))) + (inputs == Inputs::kOutliers
                                                                 ? "_outliers"
                                                             : inputs == Inputs::kLarge ? "_large"
                                                                                        : "_equal");
}

INSTANTIATE_TEST_SUITE_P(All, CudaDense,
                         ::testing::Combine(::testing::Values(Dtype::kBF16, Dtype::kF16),
                                            ::testing::Values(Inputs::kOutliers, Inputs::kLarge,
                                                              Inputs::kEqual)),
                         param_name);

class CudaDenseForward : public CudaTest {};

// A missing barrier, or lanes that meet in one bin, would show as a difference.
TEST_F(CudaDenseForward, SchedulesDoNotChangeAnything) {
  for (const Shape& shape : {Shape{.heads = 2, .head_dim = 64, .grid = {5, 6, 9}, .suffix = 3},
                             Shape{.head_dim = 128, .grid = {4, 8, 8}}}) {
    SCOPED_TRACE(shape.name());
    const Problem problem(shape, Inputs::kLarge, Dtype::kBF16);
    const DenseResult plain = run_dense(problem, Impl::kCudaSm80, false);
    const DenseResult first = run_dense(problem, Impl::kCudaSm80, true);
    for_each_schedule([&] {
      EXPECT_EQ(run_dense(problem, Impl::kCudaSm80, false).out, plain.out);
      const DenseResult again = run_dense(problem, Impl::kCudaSm80, true);
      EXPECT_EQ(again.out, first.out);
      EXPECT_EQ(again.lse, first.lse);
      EXPECT_EQ(again.mass, first.mass);
      EXPECT_EQ(again.entropy, first.entropy);
      EXPECT_EQ(again.mass_t, first.mass_t);
      EXPECT_EQ(again.mass_h, first.mass_h);
      EXPECT_EQ(again.mass_w, first.mass_w);
    });
  }
}

// Where plain order is brick order the two passes are the same sums, bit for bit.
TEST_F(CudaDenseForward, SmallGridsOfFullTilesAreTheSamePass) {
  for (const int64_t head_dim : {64, 128}) {
    const Problem problem({.head_dim = head_dim, .grid = {4, 8, 8}}, Inputs::kOutliers,
                          Dtype::kBF16);
    const DenseResult plain = run_dense(problem, Impl::kCudaSm80, false);
    const DenseResult recorded = run_dense(problem, Impl::kCudaSm80, true);
    EXPECT_EQ(plain.out, recorded.out);
    EXPECT_EQ(plain.lse, recorded.lse);
  }
}

// Equal scores: masses are shares of the keys, all by counting.
TEST_F(CudaDenseForward, SmallGridsOfEqualScoresGiveCounts) {
  for (const Shape& shape : {Shape{.head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
                             Shape{.head_dim = 20, .grid = {8, 9, 11}, .suffix = 9}}) {
    const Problem problem(shape, Inputs::kEqual, Dtype::kBF16);
    const DenseResult found = run_dense(problem, Impl::kCudaSm80, true);
    const auto tokens = static_cast<double>(shape.tokens());
    const auto& cells = problem.cells().cells;
    const TokenGrid& g = shape.grid;
    for (size_t row = 0; row < found.entropy.size(); ++row) {
      ASSERT_NEAR(found.entropy[row], std::log(tokens), 1e-5);
      ASSERT_NEAR(found.row_lse[row], std::log(tokens), 1e-5);
      for (size_t c = 0; c < cells.size(); ++c) {
        ASSERT_NEAR(found.mass[row * cells.size() + c], cells[c].count / tokens, 1e-6);
      }
      for (int64_t t = 0; t < g.t; ++t) {
        ASSERT_NEAR(found.mass_t[row * g.t + t], g.h * g.w / tokens, 1e-6);
      }
      for (int64_t h = 0; h < g.h; ++h) {
        ASSERT_NEAR(found.mass_h[row * g.h + h], g.t * g.w / tokens, 1e-6);
      }
      for (int64_t w = 0; w < g.w; ++w) {
        ASSERT_NEAR(found.mass_w[row * g.w + w], g.t * g.h / tokens, 1e-6);
      }
    }
  }
}

// Maxima far beyond the first one: what was kept of a row is scaled to a new one, some of it to
// nothing and some not. Other rows fall as far, beside them.
TEST_F(CudaDenseForward, ClimbingScores) {
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    const Problem problem({.head_dim = 64, .grid = {32, 4, 10}}, Inputs::kClimbing, dtype);
    const DenseResult expected = run_dense(problem, Impl::kReference, true);
    const DenseResult found = run_dense(problem, Impl::kCudaSm80, true);
    EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 1e-6}));
    EXPECT_TRUE(near(found.mass, expected.mass, {.max_abs = 5e-6}));
    EXPECT_TRUE(near(found.mass_t, expected.mass_t, {.max_abs = 5e-6}));
    EXPECT_TRUE(near(found.mass_h, expected.mass_h, {.max_abs = 5e-6}));
    EXPECT_TRUE(near(found.mass_w, expected.mass_w, {.max_abs = 5e-6}));
    EXPECT_TRUE(near(found.entropy, expected.entropy, {.max_abs = 2e-5}));
    EXPECT_EQ(found.dirty_lanes, 0);
  }
}

// Scores of -infinity: a key that no row may see, and a row that sees no key.
TEST_F(CudaDenseForward, InfiniteScores) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const TileGrid tiles({1, 8, 9}, {1, 4, 4});
  const KeyCells cells = make_key_cells(tiles, {}, 0, 0);
  const RowGroups rows = make_row_groups(tiles, 0, 0);
  constexpr int64_t kTokens = 72, kDim = 4;
  std::vector<float> q(kTokens * kDim), k(kTokens * kDim), v(kTokens * kDim, 1);
  for (int64_t i = 0; i < kTokens; ++i) {  // the score is q[.., 0] k[.., 0] alone
    q[i * kDim] = i == 7 ? kInfinity : 1;
    k[i * kDim] = i == 5 ? -kInfinity : -1;
  }
  std::vector<float> out(kTokens * kDim, kUntouched), lse(kTokens, kUntouched);
  DenseAttentionParams params;
  params.q = contiguous_attention_tensor(q.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  params.k = contiguous_attention_tensor(k.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  params.v = contiguous_attention_tensor(v.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  params.out = contiguous_output(out.data(), 1, kTokens, kDim);
  params.lse = lse.data();
  params.cells = &cells;
  params.rows = &rows;
  struct Seen {
    const RowGroups& rows;
    const KeyCells& cells;
    std::vector<float> entropy, mass, mass_w;  // by token; sums over cells and places
  } seen{rows, cells, std::vector<float>(kTokens, kUntouched), std::vector<float>(kTokens),
         std::vector<float>(kTokens)};
  params.sink.context = &seen;
  params.sink.consume = [](void* context, int, const RowGroupMasses& masses) {
    auto& to = *static_cast<Seen*>(context);
    const RowBlockMasses& block = masses.blocks[0];
    for (int32_t lane = 0; lane < block.num_rows; ++lane) {
      const int32_t token = to.rows.order[block.first_row + lane];
      to.entropy[token] = block.entropy[lane];
      for (size_t c = 0; c < to.cells.cells.size(); ++c) {
        to.mass[token] += block.mass[c * kRowLanes + lane];
      }
      for (int w = 0; w < 9; ++w) to.mass_w[token] += block.mass_w[w * kRowLanes + lane];
    }
  };
  ThreadPool pool(1);
  attention_kernels(Impl::kCudaSm80).dense(params, pool);
  for (int64_t i = 0; i < kTokens; ++i) {
    SCOPED_TRACE(i);
    const bool sees_keys = i != 7;
    EXPECT_NEAR(out[i * kDim], sees_keys ? 1 : 0, 1e-5);
    EXPECT_NEAR(seen.mass[i], sees_keys ? 1 : 0, 1e-6);
    EXPECT_NEAR(seen.mass_w[i], sees_keys ? 1 : 0, 1e-6);
    EXPECT_NEAR(seen.entropy[i], sees_keys ? std::log(71.0) : 0, 1e-5);
    if (sees_keys) {
      EXPECT_NEAR(lse[i], std::log(71.0) - params.scale, 1e-5);
    } else {
      EXPECT_EQ(lse[i], -kInfinity);
    }
  }
}

// fp32 inputs are rounded to bf16; how elements lie in memory does not matter.
TEST_F(CudaDenseForward, ElementTypesAndStrides) {
  for (const int64_t head_dim : {20, 64}) {
    const Shape shape{.batch = 2, .heads = 3, .head_dim = head_dim, .grid = {3, 5, 6}, .suffix = 2};
    for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
      const Problem contiguous(shape, Inputs::kOutliers, dtype, false);
      const DenseResult expected = run_dense(contiguous, Impl::kReference, false);
      // The same numbers in another memory order are another problem: each against its own truth.
      const Problem strided(shape, Inputs::kOutliers, dtype, true);
      const DenseResult expected_strided = run_dense(strided, Impl::kReference, false);
      const Tolerance bound{.max_scaled = dtype == Dtype::kBF16 ? 0x1p-8 : 0x1p-11};
      EXPECT_TRUE(near(run_dense(contiguous, Impl::kCudaSm80, false).out, expected.out, bound));
      EXPECT_TRUE(
          near(run_dense(strided, Impl::kCudaSm80, false).out, expected_strided.out, bound));
    }
    const Problem rounded(shape, Inputs::kOutliers, Dtype::kBF16);
    const Problem full(shape, Inputs::kOutliers, Dtype::kF32);
    EXPECT_EQ(run_dense(full, Impl::kCudaSm80, false).out,
              run_dense(rounded, Impl::kCudaSm80, false).out);
  }
}

}  // namespace
}  // namespace sparsescope::testing
