// Dense attention through its driver on a Hopper GPU: outputs and masses against the fp64 reference
// and against the other body.
#include <gtest/gtest.h>

#include "cuda/device_fixture.h"
#include "kernels/attention_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

class Sm90Dense : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (!use_compute_capability(9, 0)) GTEST_SKIP() << "no GPU test: this GPU is not a Hopper";
  }
};

// Odd and even numbers of row blocks, ragged tiles, text, several heads.
std::vector<Shape> shapes() {
  return {{.head_dim = 8, .grid = {1, 1, 1}},
          {.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
          {.head_dim = 64, .grid = {4, 8, 16}},
          {.head_dim = 128, .grid = {3, 9, 11}, .suffix = 5},
          {.head_dim = 72, .grid = {8, 8, 8}, .suffix = 70},
          {.head_dim = 16, .grid = {3, 11, 13}, .tile = {3, 11, 13}},
          {.head_dim = 64, .grid = {32, 4, 10}}};
}

// Bounds as in dense_forward_test.cpp: probabilities that weigh V are rounded to the element type,
// sums of probabilities are fp32.
TEST_F(Sm90Dense, AgreesWithTheReference) {
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    const double unit = dtype == Dtype::kBF16 ? 0x1p-8 : 0x1p-11;
    for (const Shape& shape : shapes()) {
      SCOPED_TRACE(shape.name());
      const bool climbs = shape.grid.t == 32;  // as ClimbingScores there
      const Problem problem(shape, climbs ? Inputs::kClimbing : Inputs::kOutliers, dtype);
      const DenseResult expected = run_dense(problem, Impl::kReference, true);
      const DenseResult found = run_dense(problem, Impl::kCudaSm90, true);
      EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = unit + 4e-6}));
      EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 1e-6}));
      EXPECT_TRUE(near(found.row_lse, expected.row_lse, {.max_scaled = 1e-6}));
      EXPECT_TRUE(near(found.mass, expected.mass, {.max_abs = 5e-6}));
      EXPECT_TRUE(near(found.mass_t, expected.mass_t, {.max_abs = 5e-6}));
      EXPECT_TRUE(near(found.mass_h, expected.mass_h, {.max_abs = 5e-6}));
      EXPECT_TRUE(near(found.mass_w, expected.mass_w, {.max_abs = 5e-6}));
      EXPECT_TRUE(near(found.entropy, expected.entropy, {.max_abs = 2e-5}));
      EXPECT_EQ(found.dirty_lanes, 0);
      const DenseResult plain = run_dense(problem, Impl::kCudaSm90, false);
      EXPECT_TRUE(near(plain.out, expected.out, {.max_scaled = unit + 4e-6}));
    }
  }
}

TEST_F(Sm90Dense, SchedulesDoNotChangeAnything) {
  const Problem problem({.heads = 2, .head_dim = 64, .grid = {5, 6, 9}, .suffix = 3},
                        Inputs::kLarge, Dtype::kBF16);
  const DenseResult first = run_dense(problem, Impl::kCudaSm90, true);
  for_each_schedule([&] {
    const DenseResult again = run_dense(problem, Impl::kCudaSm90, true);
    EXPECT_EQ(again.out, first.out);
    EXPECT_EQ(again.lse, first.lse);
    EXPECT_EQ(again.mass, first.mass);
    EXPECT_EQ(again.entropy, first.entropy);
    EXPECT_EQ(again.mass_t, first.mass_t);
    EXPECT_EQ(again.mass_h, first.mass_h);
    EXPECT_EQ(again.mass_w, first.mass_w);
  });
}

// Bins of two row blocks that do not fit beside the tiles: the other body takes over.
TEST_F(Sm90Dense, LargeGridsFallBack) {
  const Problem problem({.head_dim = 128, .grid = {1, 1, 300}}, Inputs::kOutliers, Dtype::kF16);
  const DenseResult found = run_dense(problem, Impl::kCudaSm90, true);
  const DenseResult other = run_dense(problem, Impl::kCudaSm80, true);
  EXPECT_EQ(found.mass, other.mass);
  EXPECT_EQ(found.out, other.out);
}

}  // namespace
}  // namespace sparsescope::testing
