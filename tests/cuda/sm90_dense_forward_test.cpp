// The Hopper body of dense attention against fp64.
#include <gtest/gtest.h>

#include "cuda/dense_forward_case.h"
#include "cuda/device_fixture.h"
#include "kernels/cuda/sm90/dense_forward.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

// The probabilities that weigh V are rounded: to half a unit of 8 bits in bf16, of 11 in fp16. The
// error of an average of rounding errors, relative to the largest value, is far below twice that.
template <typename Elem>
constexpr double kOutBound = std::is_same_v<Elem, __half> ? 0x1p-11 : 0x1p-8;

template <typename Elem, int kHeadDim>
void expect_agreement(const DenseShape& shape) {
  const DenseForwardCase<Elem, kHeadDim> dense(shape);
  const DenseResults expected = dense.expected();
  for_each_schedule([&] {
    const DenseResults found = dense.run(cuda::sm90::run_dense_forward<Elem, kHeadDim>);
    EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = kOutBound<Elem>}));
    EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 1e-6}));
  });
}

using Sm90DenseForward = CudaTest;

TEST_F(Sm90DenseForward, Bf16) {
  expect_agreement<__nv_bfloat16, 64>({.tokens = 200});
  expect_agreement<__nv_bfloat16, 128>({.tokens = 130, .head_dim = 128});
}

TEST_F(Sm90DenseForward, Fp16) {
  expect_agreement<__half, 64>({.tokens = 130, .head_dim = 40});
  expect_agreement<__half, 128>({.tokens = 200, .head_dim = 96, .heads = 1});
}

// Fewer key blocks than stages, one alone, and more than go around twice.
TEST_F(Sm90DenseForward, AnyNumberOfKeyBlocks) {
  for (const int64_t tokens : {1, 50, 64, 100, 600}) {
    SCOPED_TRACE(tokens);
    expect_agreement<__nv_bfloat16, 64>({.tokens = tokens, .heads = 1, .row_block = 64});
  }
}

TEST_F(Sm90DenseForward, RowBlocksThatAreNotFull) {
  expect_agreement<__nv_bfloat16, 64>({.tokens = 150, .heads = 1, .row_block = 37});
}

// Scores that raise the maximum again and again.
TEST_F(Sm90DenseForward, LargeScores) {
  expect_agreement<__half, 64>({.tokens = 200, .heads = 1, .score_spread = 20.0f});
}

}  // namespace
}  // namespace sparsescope::testing
