// Gradients of sparse attention: the reference against finite differences, every implementation
// against the reference on lists of every form that the selectors make.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/attention_case.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

struct Gradients {
  std::vector<float> dq, dk, dv;  // [B, H, S, D]
};

std::vector<float> draw_d_out(const Shape& shape) {
  std::vector<float> d_out(shape.batch * shape.heads * shape.tokens() * shape.head_dim);
  for (size_t i = 0; i < d_out.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    d_out[i] = static_cast<float>(normal(77, at) * (uniform(78, at) < 0.02 ? 10 : 1));
  }
  return d_out;
}

AttentionTensor view_of(const std::vector<float>& x, const Shape& shape) {
  return contiguous_attention_tensor(x.data(), Dtype::kF32, shape.batch, shape.heads,
                                     shape.tokens(), shape.head_dim);
}

Gradients run_backward(const Problem& problem, const Lists& lists, Impl impl, int threads = 1) {
  const Shape& shape = problem.shape();
  const SparseResult forward = run_sparse(problem, lists, impl, threads);
  const std::vector<float> d_out = draw_d_out(shape);
  Gradients result;
  for (auto* x : {&result.dq, &result.dk, &result.dv}) x->assign(d_out.size(), kUntouched);
  const auto to = [&](std::vector<float>& x) {
    return contiguous_output(x.data(), shape.heads, shape.tokens(), shape.head_dim);
  };
  SparseBackwardParams params{.q = problem.q(), .k = problem.k(), .v = problem.v()};
  params.out = view_of(forward.out, shape);
  params.d_out = view_of(d_out, shape);
  params.lse = forward.lse.data();
  params.scale = problem.scale();
  params.dq = to(result.dq);
  params.dk = to(result.dk);
  params.dv = to(result.dv);
  params.selection = lists.view();
  ThreadPool pool(threads);
  attention_kernels(impl).sparse_backward(params, pool);
  return result;
}

// Lists of uneven length, some empty; the last range is in none of them, rows of every seventh
// block are in no item.
Lists uneven_lists(const Problem& problem) {
  Lists lists = lists_over_cells(problem);
  const auto num_ranges = static_cast<int32_t>(lists.ranges.size());
  for (int32_t b = 0; b < problem.shape().batch; ++b) {
    for (int32_t h = 0; h < problem.shape().heads; ++h) {
      for (size_t i = 0; i < problem.rows().blocks.size(); ++i) {
        if (i % 7 == 6) continue;
        const RowBlock& block = problem.rows().blocks[i];
        const auto first = problem.rows().order.begin() + block.first;
        std::vector<int32_t> chosen;
        const uint64_t key = 31 * i + h;
        for (int32_t range = 0; range + 1 < num_ranges; ++range) {
          if (uniform(key, range) < uniform(key, 1 << 20) - 0.1) chosen.push_back(range);
        }
        lists.add_strand(b, h, false);
        lists.add_item({first, first + block.count}, chosen);
      }
    }
  }
  return lists;
}

// VMoBA's form: an item for each range, with the rows that chose it.
Lists merged_lists(const Problem& problem) {
  Lists lists = lists_over_cells(problem);
  const auto num_ranges = static_cast<int32_t>(lists.ranges.size());
  for (int32_t h = 0; h < problem.shape().heads; ++h) {
    lists.add_strand(0, h, true);
    for (int32_t range = 0; range < num_ranges; ++range) {
      std::vector<int32_t> rows;
      for (int32_t row = 0; row < problem.shape().tokens(); ++row) {
        if (uniform(range + 100 * h, row) < 0.3) rows.push_back(row);
      }
      for (size_t at = 0; at < rows.size(); at += kRowLanes) {
        const size_t end = std::min(rows.size(), at + kRowLanes);
        lists.add_item({rows.begin() + at, rows.begin() + end}, {range});
      }
    }
  }
  return lists;
}

void expect_near(const Gradients& found, const Gradients& expected, double bound) {
  EXPECT_TRUE(near(found.dq, expected.dq, {.max_scaled = bound})) << "dq";
  EXPECT_TRUE(near(found.dk, expected.dk, {.max_scaled = bound})) << "dk";
  EXPECT_TRUE(near(found.dv, expected.dv, {.max_scaled = bound})) << "dv";
}

class BackwardImpl : public ::testing::TestWithParam<Impl> {};

TEST_P(BackwardImpl, UnevenListsAgreeWithTheReference) {
  const std::vector<Shape> shapes{
      {.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
      {.head_dim = 64, .grid = {4, 8, 16}},
      {.head_dim = 48, .grid = {3, 7, 13}, .tile = {3, 5, 4}, .suffix = 70},
      {.head_dim = 5, .grid = {1, 5, 13}, .tile = {1, 2, 2}},
      {.head_dim = 128, .grid = {6, 9, 5}, .tile = {6, 9, 5}},
      {.head_dim = 144, .grid = {1, 8, 9}},
      {.head_dim = 1, .grid = {1, 1, 3}, .tile = {1, 1, 1}},
  };
  for (const Shape& shape : shapes) {
    for (const Inputs inputs : {Inputs::kOutliers, Inputs::kLarge, Inputs::kEqual}) {
      SCOPED_TRACE(shape.name());
      const Problem problem(shape, inputs);
      const Lists lists = uneven_lists(problem);
      const Gradients expected = run_backward(problem, lists, Impl::kReference);
      const double bound = inputs == Inputs::kLarge ? 1e-4 : 6e-6;
      expect_near(run_backward(problem, lists, GetParam(), 2), expected, bound);
    }
  }
}

TEST_P(BackwardImpl, MergedStrandsAgreeWithTheReference) {
  const Problem problem({.heads = 2, .head_dim = 24, .grid = {4, 8, 9}, .tile = {4, 4, 3}},
                        Inputs::kOutliers);
  const Lists lists = merged_lists(problem);
  const Gradients expected = run_backward(problem, lists, Impl::kReference);
  for (const int threads : {1, 3}) {
    expect_near(run_backward(problem, lists, GetParam(), threads), expected, 6e-6);
  }
}

// What no list holds has gradient zero, and rows in no item too.
TEST_P(BackwardImpl, KeysInNoListAndRowsInNoItem) {
  const Shape shape{.head_dim = 8, .grid = {1, 4, 6}, .tile = {1, 2, 2}};
  const Problem problem(shape, Inputs::kOutliers);
  Lists lists = lists_over_cells(problem);
  lists.add_strand(0, 0, false);
  lists.add_item({3, 9}, {0, 2});
  const Gradients found = run_backward(problem, lists, GetParam());
  for (int64_t token = 0; token < shape.tokens(); ++token) {
    bool listed = false;
    for (const int32_t range : {0, 2}) {
      const KeyRange& keys = lists.ranges[range];
      for (int32_t i = 0; i < keys.count; ++i) listed |= lists.key_order[keys.first + i] == token;
    }
    for (int64_t d = 0; d < 8; ++d) {
      EXPECT_EQ(found.dq[token * 8 + d] != 0, token == 3 || token == 9);
      EXPECT_EQ(found.dk[token * 8 + d] != 0, listed);
      EXPECT_EQ(found.dv[token * 8 + d] != 0, listed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, BackwardImpl, ::testing::ValuesIn(available_impls()),
                         [](const auto& param) { return impl_test_name(param.param); });

// One row, two keys, D 1: P = (p, 1 - p) with p = 1 / (1 + e^-1) for scores 1 and 0.
TEST(BackwardReference, TwoKeysByHand) {
  const std::vector<float> q{1, 0}, k{1, 0}, v{3, 5}, d_out{2, 0}, out{0, 0}, lse{0, 0};
  std::vector<float> dq(2), dk(2), dv(2);
  Lists lists;
  lists.key_order = {0, 1};
  lists.ranges = {{0, 2}};
  lists.add_strand(0, 0, false);
  lists.add_item({0}, {0});
  const auto view = [](const std::vector<float>& x) {
    return contiguous_attention_tensor(x.data(), Dtype::kF32, 1, 1, 2, 1);
  };
  const auto to = [](std::vector<float>& x) { return contiguous_output(x.data(), 1, 2, 1); };
  ThreadPool pool(1);
  attention_kernels(Impl::kReference)
      .sparse_backward({.q = view(q),
                        .k = view(k),
                        .v = view(v),
                        .out = view(out),
                        .d_out = view(d_out),
                        .lse = lse.data(),
                        .dq = to(dq),
                        .dk = to(dk),
                        .dv = to(dv),
                        .selection = lists.view()},
                       pool);
  const double p = 1 / (1 + std::exp(-1.0));
  // dP = 2 v = (6, 10), delta = 6 p + 10 (1 - p), dS_0 = p (6 - delta) = -4 p (1 - p) = -dS_1
  const double d_score = -4 * p * (1 - p);
  EXPECT_NEAR(dq[0], d_score, 1e-6);
  EXPECT_EQ(dq[1], 0);
  EXPECT_NEAR(dk[0], d_score, 1e-6);
  EXPECT_NEAR(dk[1], -d_score, 1e-6);
  EXPECT_NEAR(dv[0], 2 * p, 1e-6);
  EXPECT_NEAR(dv[1], 2 * (1 - p), 1e-6);
}

}  // namespace
}  // namespace sparsescope::testing
