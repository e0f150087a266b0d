// Dense attention and its masses: every implementation against the fp64 reference, and the laws
// that hold whatever the inputs are.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "kernels/attention_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

std::vector<Impl> cpu_impls() {
  std::vector<Impl> impls = available_impls();
  impls.erase(impls.begin());  // the reference
  return impls;
}

using Param = std::tuple<Impl, Inputs>;

class DenseImpl : public ::testing::TestWithParam<Param> {
 protected:
  Impl impl() const { return std::get<0>(GetParam()); }
  Inputs inputs() const { return std::get<1>(GetParam()); }
  bool large() const { return inputs() == Inputs::kLarge; }
  // fp32 against fp64: scores of x16 inputs reach hundreds, and their rounding moves the exponent.
  // Equal scores average v, of either sign and up to 60, to almost nothing.
  Tolerance output_bound() const {
    if (inputs() == Inputs::kEqual) return {.max_abs = 2e-6};
    return {.max_scaled = large() ? 3e-5 : 4e-6};
  }
  Tolerance lse_bound() const { return {.max_scaled = large() ? 2e-6 : 1e-6}; }
  Tolerance mass_bound() const { return {.max_abs = large() ? 1e-4 : 5e-6}; }
  Tolerance entropy_bound() const { return {.max_abs = large() ? 4e-4 : 1e-5}; }
};

TEST_P(DenseImpl, AgreesWithTheReference) {
  for (const Shape& shape : dense_shapes()) {
    SCOPED_TRACE(shape.name());
    const Problem problem(shape, inputs());
    const DenseResult expected = run_dense(problem, Impl::kReference, true);
    const DenseResult found = run_dense(problem, impl(), true, 2);
    EXPECT_TRUE(near(found.out, expected.out, output_bound()));
    EXPECT_TRUE(near(found.lse, expected.lse, lse_bound()));
    EXPECT_TRUE(near(found.row_lse, expected.row_lse, lse_bound()));
    EXPECT_TRUE(near(found.mass, expected.mass, mass_bound()));
    EXPECT_TRUE(near(found.entropy, expected.entropy, entropy_bound()));
    EXPECT_TRUE(near(found.mass_t, expected.mass_t, mass_bound()));
    EXPECT_TRUE(near(found.mass_h, expected.mass_h, mass_bound()));
    EXPECT_TRUE(near(found.mass_w, expected.mass_w, mass_bound()));
    EXPECT_EQ(found.dirty_lanes, 0);
  }
}

// The same body with and without its statistics.
TEST_P(DenseImpl, RecordingDoesNotChangeTheOutput) {
  for (const Shape& shape : dense_shapes()) {
    SCOPED_TRACE(shape.name());
    const Problem problem(shape, inputs());
    const DenseResult plain = run_dense(problem, impl(), false);
    const DenseResult recorded = run_dense(problem, impl(), true);
    EXPECT_TRUE(near(plain.out, recorded.out, {.max_scaled = 1e-6}));
    EXPECT_TRUE(near(plain.lse, recorded.lse, {.max_scaled = 1e-6}));
  }
}

TEST_P(DenseImpl, ThreadsDoNotChangeAnything) {
  const Problem problem({.heads = 3, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3}, inputs());
  const DenseResult one = run_dense(problem, impl(), true, 1);
  for (const int threads : {2, 3}) {
    const DenseResult many = run_dense(problem, impl(), true, threads);
    EXPECT_EQ(one.out, many.out);
    EXPECT_EQ(one.lse, many.lse);
    EXPECT_EQ(one.mass, many.mass);
    EXPECT_EQ(one.entropy, many.entropy);
    EXPECT_EQ(one.mass_w, many.mass_w);
  }
}

double sum(const std::vector<float>& values, size_t first, size_t count) {
  return std::accumulate(values.begin() + first, values.begin() + first + count, 0.0);
}

TEST_P(DenseImpl, LawsOfMass) {
  for (const Shape& shape : dense_shapes()) {
    SCOPED_TRACE(shape.name());
    const Problem problem(shape, inputs());
    const DenseResult found = run_dense(problem, impl(), true);
    const size_t cells = problem.cells().cells.size();
    const auto video_cells = static_cast<size_t>(problem.cells().num_video_cells);
    const TokenGrid& grid = shape.grid;
    for (size_t row = 0; row < found.entropy.size(); ++row) {
      const double video = sum(found.mass, row * cells, video_cells);
      ASSERT_NEAR(sum(found.mass, row * cells, cells), 1, 3e-6);
      ASSERT_NEAR(sum(found.mass_t, row * grid.t, grid.t), video, 3e-6);
      ASSERT_NEAR(sum(found.mass_h, row * grid.h, grid.h), video, 3e-6);
      ASSERT_NEAR(sum(found.mass_w, row * grid.w, grid.w), video, 3e-6);
      ASSERT_GE(found.entropy[row], 0);
      ASSERT_LE(found.entropy[row], std::log(static_cast<double>(shape.tokens())) + 1e-5);
    }
  }
}

std::string param_name(const ::testing::TestParamInfo<Param>& info) {
  const Inputs inputs = std::get<1>(info.param);
  return impl_test_name(std::get<0>(info.param)) + (inputs == Inputs::kOutliers ? "_outliers"
                                                    : inputs == Inputs::kLarge  ? "_large"
                                                                                : "_equal");
}

INSTANTIATE_TEST_SUITE_P(All, DenseImpl,
                         ::testing::Combine(::testing::ValuesIn(cpu_impls()),
                                            ::testing::Values(Inputs::kOutliers, Inputs::kLarge,
                                                              Inputs::kEqual)),
                         param_name);

// The inputs of these tests are worth testing with: rows are neither flat nor all on one key.
TEST(DenseInputs, AreNotTrivial) {
  const Shape shape{.head_dim = 64, .grid = {4, 4, 16}};
  const auto mean_entropy = [&](Inputs inputs) {
    const DenseResult result = run_dense(Problem(shape, inputs), Impl::kReference, true);
    return sum(result.entropy, 0, result.entropy.size()) / result.entropy.size();
  };
  EXPECT_NEAR(mean_entropy(Inputs::kEqual), std::log(256.0), 1e-5);
  EXPECT_GT(mean_entropy(Inputs::kOutliers), 1.0);
  EXPECT_LT(mean_entropy(Inputs::kOutliers), 5.0);
  EXPECT_LT(mean_entropy(Inputs::kLarge), 0.5);
}

class DenseEveryImpl : public ::testing::TestWithParam<Impl> {};

// Equal scores: out is the mean of v, masses are shares of the keys, all by counting.
TEST_P(DenseEveryImpl, EqualScoresGiveCounts) {
  const Shape shape{.head_dim = 20, .grid = {5, 7, 6}, .prefix = 3};
  const Problem problem(shape, Inputs::kEqual);
  const DenseResult found = run_dense(problem, GetParam(), true);
  const auto tokens = static_cast<double>(shape.tokens());
  const auto& cells = problem.cells().cells;
  for (size_t row = 0; row < found.entropy.size(); ++row) {
    ASSERT_NEAR(found.entropy[row], std::log(tokens), 1e-5);
    ASSERT_NEAR(found.row_lse[row], std::log(tokens), 1e-5);
    for (size_t c = 0; c < cells.size(); ++c) {
      ASSERT_NEAR(found.mass[row * cells.size() + c], cells[c].count / tokens, 1e-6);
    }
    ASSERT_NEAR(found.mass_t[row * 5 + 2], 7 * 6 / tokens, 1e-6);
    ASSERT_NEAR(found.mass_h[row * 7 + 6], 5 * 6 / tokens, 1e-6);
    ASSERT_NEAR(found.mass_w[row * 6 + 5], 5 * 7 / tokens, 1e-6);
  }
}

// bf16 and fp16 inputs, token-major memory: the values count, not how they lie.
TEST_P(DenseEveryImpl, ElementTypesAndStrides) {
  const Shape shape{.batch = 2, .heads = 3, .head_dim = 20, .grid = {3, 5, 6}, .suffix = 2};
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    SCOPED_TRACE(dtype_name(dtype));
    const Problem contiguous(shape, Inputs::kOutliers, dtype, false);
    const Problem strided(shape, Inputs::kOutliers, dtype, true);
    // fp64 loops over the values as stored, for one row of each head.
    for (const Problem* problem : {&contiguous, &strided}) {
      const DenseResult found = run_dense(*problem, GetParam(), false);
      const int64_t S = shape.tokens(), D = shape.head_dim;
      for (int64_t b = 0; b < shape.batch; ++b) {
        for (int64_t h = 0; h < shape.heads; ++h) {
          const int64_t token = 17 + b + h;
          std::vector<double> weight(S);
          double total = 0;
          for (int64_t j = 0; j < S; ++j) {
            double dot = 0;
            for (int64_t d = 0; d < D; ++d) {
              dot += problem->value(problem->q(), b, h, token, d) *
                     problem->value(problem->k(), b, h, j, d);
            }
            weight[j] = std::exp(dot / std::sqrt(static_cast<double>(D)));
            total += weight[j];
          }
          const int64_t row = (b * shape.heads + h) * S + token;
          ASSERT_NEAR(found.lse[row], std::log(total), 1e-5);
          for (int64_t d = 0; d < D; ++d) {
            double expected = 0, magnitude = 0;
            for (int64_t j = 0; j < S; ++j) {
              const double term = weight[j] / total * problem->value(problem->v(), b, h, j, d);
              expected += term;
              magnitude += std::abs(term);
            }
            // the bf16 product rounds every probability to 8 bits
            const bool rounds = GetParam() == Impl::kCpuAvx512Bf16 && dtype == Dtype::kBF16;
            ASSERT_NEAR(found.out[row * D + d], expected, rounds ? 0x1p-9 * magnitude : 5e-5);
          }
        }
      }
    }
  }
}

// Scores of -inf: a key that no row may see, and a row that sees no key.
TEST_P(DenseEveryImpl, InfiniteScores) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const TileGrid tiles({1, 8, 9}, {1, 4, 4});
  const KeyCells cells = make_key_cells(tiles, {}, 0, 0);
  const RowGroups rows = make_row_groups(tiles, 0, 0);
  constexpr int64_t kTokens = 72, kDim = 4;
  std::vector<float> q(kTokens * kDim, 0), k(kTokens * kDim, 0), v(kTokens * kDim, 1);
  for (int64_t i = 0; i < kTokens; ++i) q[i * kDim] = 1;  // the score is k[.., 0] alone
  k[5 * kDim] = -kInfinity;
  v[5 * kDim] = 1e6f;
  q[7 * kDim] = kInfinity;  // row 7: inf * k
  for (int64_t i = 0; i < kTokens; ++i) k[i * kDim] = i == 5 ? -kInfinity : -1;
  std::vector<float> out(kTokens * kDim, kUntouched), lse(kTokens, kUntouched);
  std::vector<float> entropy(kTokens, kUntouched);
  DenseAttentionParams params;
  params.q = contiguous_attention_tensor(q.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  params.k = contiguous_attention_tensor(k.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  params.v = contiguous_attention_tensor(v.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  params.out = contiguous_output(out.data(), 1, kTokens, kDim);
  params.lse = lse.data();
  params.cells = &cells;
  params.rows = &rows;
  struct Context {
    const RowGroups& rows;
    std::vector<float>& entropy;
    bool finite = true;
  } context{rows, entropy};
  params.sink.context = &context;
  params.sink.consume = [](void* c, int, const RowGroupMasses& masses) {
    auto& seen = *static_cast<Context*>(c);
    const RowBlockMasses& block = masses.blocks[0];
    for (int32_t r = 0; r < block.num_rows; ++r) {
      seen.entropy[seen.rows.order[block.first_row + r]] = block.entropy[r];
      seen.finite &= std::isfinite(block.mass[r]) && std::isfinite(block.mass_w[r]);
    }
  };
  ThreadPool pool(1);
  attention_kernels(GetParam()).dense(params, pool);
  EXPECT_TRUE(context.finite);
  for (int64_t i = 0; i < kTokens; ++i) {
    SCOPED_TRACE(i);
    if (i == 7) {
      EXPECT_EQ(out[i * kDim], 0);
      EXPECT_EQ(lse[i], -kInfinity);
      EXPECT_EQ(entropy[i], 0);
    } else {
      EXPECT_NEAR(out[i * kDim], 1, 1e-5);
      EXPECT_NEAR(lse[i], std::log(71.0) - params.scale, 1e-5);
      EXPECT_NEAR(entropy[i], std::log(71.0), 1e-5);
    }
  }
}

// Another tile shape permutes rows and keys inside the kernel; the results by token do not change.
TEST_P(DenseEveryImpl, OrderOfTokensDoesNotMatter) {
  Shape shape{.head_dim = 16, .grid = {4, 6, 9}};
  const DenseResult a = run_dense(Problem(shape, Inputs::kOutliers), GetParam(), true);
  shape.tile = {3, 2, 7};
  const DenseResult b = run_dense(Problem(shape, Inputs::kOutliers), GetParam(), true);
  EXPECT_TRUE(near(a.out, b.out, {.max_scaled = 2e-6}));
  EXPECT_TRUE(near(a.lse, b.lse, {.max_scaled = 1e-6}));
  EXPECT_TRUE(near(a.mass_h, b.mass_h, {.max_abs = 3e-6}));
}

INSTANTIATE_TEST_SUITE_P(All, DenseEveryImpl, ::testing::ValuesIn(available_impls()),
                         [](const auto& param) { return impl_test_name(param.param); });

}  // namespace
}  // namespace sparsescope::testing
