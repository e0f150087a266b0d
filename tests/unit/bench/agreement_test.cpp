// The check before the timing: right results pass, and every kind of wrong one is found.
#include "bench/agreement.h"

#include <gtest/gtest.h>

#include <limits>

#include "bench/sparse_case.h"
#include "kernels/kernel_table.h"
#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

constexpr AttentionShape kShape{.batch = 2,
                                .heads = 2,
                                .tokens = 35,
                                .head_dim = 8,
                                .grid = {2, 4, 4},
                                .prefix = 2,
                                .suffix = 1};

// A sparse pass of the reference implementation, forward and backward.
class Agreement : public ::testing::Test {
 protected:
  Agreement()
      : pool_(1),
        problem_(kShape, 7, pool_),
        case_(problem_.call(nullptr), {2, 2, 2}, vsa_setting(0.5, 4), 0, Impl::kReference, pool_) {
    case_.select();
    for (auto* x : {&result_.out, &result_.dq, &result_.dk, &result_.dv}) {
      x->resize(problem_.elements());
    }
    result_.lse.resize(problem_.rows());
    const auto output = [](std::vector<float>& x) {
      return contiguous_output(x.data(), kShape.heads, kShape.tokens, kShape.head_dim);
    };
    const AttentionKernels& kernels = attention_kernels(Impl::kReference);
    kernels.sparse({.q = problem_.q(),
                    .k = problem_.k(),
                    .v = problem_.v(),
                    .scale = problem_.scale(),
                    .out = output(result_.out),
                    .lse = result_.lse.data(),
                    .selection = case_.lists()},
                   pool_);
    kernels.sparse_backward({.q = problem_.q(),
                             .k = problem_.k(),
                             .v = problem_.v(),
                             .out = problem_.view_fp32(result_.out.data()),
                             .d_out = problem_.d_out(),
                             .lse = result_.lse.data(),
                             .scale = problem_.scale(),
                             .dq = output(result_.dq),
                             .dk = output(result_.dk),
                             .dv = output(result_.dv),
                             .selection = case_.lists()},
                            pool_);
  }

  SampledDeviation judge() {
    return sampled_deviation(problem_, case_.host_lists().view(), result_, pool_);
  }

  ThreadPool pool_;
  AttentionProblem problem_;
  SparseCase case_;
  AttentionResult result_;
};

TEST_F(Agreement, HoldsForTheReference) {
  const SampledDeviation found = judge();
  EXPECT_LT(found.forward, 1e-6);
  EXPECT_LT(found.backward, 1e-5);
  EXPECT_GT(found.forward, 0);  // something was compared
}

TEST_F(Agreement, FindsAWrongOutputOfTheLastRow) {
  result_.out.back() += 0.01f;
  EXPECT_GT(judge().forward, 1e-4);
}

TEST_F(Agreement, FindsAWrongLogSumExp) {
  result_.lse.front() += 0.01f;
  EXPECT_GT(judge().forward, 1e-4);
}

TEST_F(Agreement, FindsWrongGradients) {
  for (auto* x : {&result_.dq, &result_.dk, &result_.dv}) {
    const float right = x->front();
    x->front() += 0.1f;
    EXPECT_GT(judge().backward, 1e-4);
    x->front() = right;
  }
}

TEST_F(Agreement, IsNotDeceivedByNaN) {
  result_.out.front() = std::numeric_limits<float>::quiet_NaN();
  EXPECT_GT(judge().forward, 1);
}

TEST_F(Agreement, FindsAResultOfOtherLists) {
  SparseCase other(problem_.call(nullptr), {2, 2, 2}, vsa_setting(0.25, 4), 0, Impl::kReference,
                   pool_);
  other.select();
  EXPECT_GT(sampled_deviation(problem_, other.host_lists().view(), result_, pool_).forward, 1e-3);
}

TEST(Deviation, IsRelativeToTheLargestExpectedValue) {
  const std::vector<float> expected{1, -4, 2}, found{1, -4, 3};
  EXPECT_DOUBLE_EQ(deviation(found, expected), 0.25);
  EXPECT_EQ(deviation(expected, expected), 0);
}

TEST(RequireAgreement, NamesWhatDiffersAndPassesAtTheBound) {
  require_agreement("dense", 1e-5, 1e-5);
  const std::string message =
      error_of(ErrorKind::kInternal, [] { require_agreement("vsa, forward", 0.5, 1e-5); });
  EXPECT_THAT(message, ::testing::HasSubstr("vsa, forward"));
  EXPECT_THAT(message, ::testing::HasSubstr("nothing was timed"));
  error_of(ErrorKind::kInternal,
           [] { require_agreement("x", std::numeric_limits<double>::quiet_NaN(), 1); });
}

}  // namespace
}  // namespace sparsescope::testing
