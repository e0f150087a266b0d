// What the kernels take beside inputs and outputs grows with S, not with S * S or S * cells: the
// growth of the process's peak while they run.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "kernels/attention_case.h"

namespace sparsescope::testing {
namespace {

// Of this process, in bytes.
int64_t peak_memory() {
  const std::string name = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::stoll(line.substr(name.size())) * 1024;
  }
  return 0;
}

// Every pass over every key, and rows merged over two items.
class Passes {
 public:
  explicit Passes(int64_t frames)
      : shape_{.head_dim = 16, .grid = {frames, 16, 16}},
        problem_(shape_, Inputs::kOutliers),
        lists_(lists_over_cells(problem_)),
        out_(shape_.tokens() * shape_.head_dim, 0.5f),
        lse_(shape_.tokens(), 1.0f),
        gradients_(3 * out_.size(), 0.5f) {
    const auto half = static_cast<int32_t>(lists_.ranges.size() / 2);
    std::vector<int32_t> first, second;
    for (int32_t range = 0; range < 2 * half; ++range) {
      (range < half ? first : second).push_back(range);
    }
    for (const RowBlock& block : problem_.rows().blocks) {
      const auto begin = problem_.rows().order.begin() + block.first;
      const std::vector<int32_t> rows(begin, begin + block.count);
      lists_.add_strand(0, 0, true);
      lists_.add_item(rows, first);
      lists_.add_item(rows, second);
    }
  }

  int64_t tokens() const { return shape_.tokens(); }

  void run() {
    ThreadPool pool(1);
    const AttentionKernels& kernels = attention_kernels(default_cpu_impl());
    DenseAttentionParams dense{.q = problem_.q(), .k = problem_.k(), .v = problem_.v()};
    dense.out = to(out_.data());
    dense.lse = lse_.data();
    dense.cells = &problem_.cells();
    dense.rows = &problem_.rows();
    dense.sink.consume = [](void*, int, const RowGroupMasses&) {};
    kernels.dense(dense, pool);

    SparseAttentionParams sparse{.q = problem_.q(), .k = problem_.k(), .v = problem_.v()};
    sparse.out = to(out_.data());
    sparse.lse = lse_.data();
    sparse.selection = lists_.view();
    kernels.sparse(sparse, pool);

    SparseBackwardParams backward{.q = problem_.q(), .k = problem_.k(), .v = problem_.v()};
    backward.out = backward.d_out = contiguous_attention_tensor(out_.data(), Dtype::kF32, 1, 1,
                                                                shape_.tokens(), shape_.head_dim);
    backward.lse = lse_.data();
    const auto size = static_cast<int64_t>(out_.size());
    backward.dq = to(&gradients_[0]);
    backward.dk = to(&gradients_[size]);
    backward.dv = to(&gradients_[2 * size]);
    backward.selection = lists_.view();
    kernels.sparse_backward(backward, pool);
  }

 private:
  MutableAttentionTensor to(float* values) const {
    return contiguous_output(values, 1, shape_.tokens(), shape_.head_dim);
  }

  Shape shape_;
  Problem problem_;
  Lists lists_;
  std::vector<float> out_, lse_, gradients_;
};

int64_t growth(Passes& passes) {
  const int64_t before = peak_memory();
  passes.run();
  return peak_memory() - before;
}

TEST(KernelMemory, GrowsWithTheTokens) {
  Passes small(4), large(32);  // 1,024 and 8,192 tokens
  const int64_t of_small = growth(small), of_large = growth(large);
  ASSERT_GT(of_small, 0);
  // K, V, dK and dV of a head in the key order; the rest is of one row block.
  const int64_t per_token = 4 * 16 * static_cast<int64_t>(sizeof(float));
  constexpr int64_t kRest = 1 << 20;
  EXPECT_LE(of_large, (large.tokens() - small.tokens()) * per_token + kRest);
}

}  // namespace
}  // namespace sparsescope::testing
