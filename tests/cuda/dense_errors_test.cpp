// What CUDA dense attention refuses, and how it says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/error.h"
#include "cuda/device_fixture.h"
#include "kernels/attention_case.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

class CudaDenseErrors : public CudaTest {};

std::string error_of(const Shape& shape, bool record, ErrorKind kind) {
  const Problem problem(shape, Inputs::kOutliers, Dtype::kBF16);
  try {
    run_dense(problem, Impl::kCudaSm80, record);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "";
}

TEST_F(CudaDenseErrors, LargeHeadDims) {
  const std::string error =
      error_of({.head_dim = 129, .grid = {1, 1, 2}}, false, ErrorKind::kUnsupported);
  EXPECT_THAT(error, HasSubstr("at most 128, found 129"));
}

// Sums by coordinate lie in shared memory: more of them than fit are refused, and only with masses.
TEST_F(CudaDenseErrors, GridsThatDoNotFitSharedMemory) {
  const Shape shape{.head_dim = 8, .grid = {1, 1, 1000}};
  EXPECT_THAT(error_of(shape, true, ErrorKind::kUnsupported),
              HasSubstr("T + Hg + Wg = 1002 sums a row"));
  EXPECT_EQ(error_of(shape, false, ErrorKind::kUnsupported), "");
}

}  // namespace
}  // namespace sparsescope::testing
