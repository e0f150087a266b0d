// The streamed selection against the rule's definition on the very same gates: keys are unit
// vectors, so that a query's coordinates are its gates in every implementation.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>

#include "capture/vmoba_rule.h"
#include "core/rng.h"
#include "kernels/impl.h"
#include "sparse/vmoba_selector.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::Qkv;

enum class Gates { kNormal, kTied, kEqual, kOutlier, kSigned };

float gate_value(Gates kind, uint64_t seed, int64_t i) {
  const double value = normal(seed, i);
  switch (kind) {
    case Gates::kNormal:
      return static_cast<float>(value);
    case Gates::kTied:
      return static_cast<float>(std::floor(2 * value));
    case Gates::kEqual:
      return 1.5f;
    case Gates::kOutlier:  // almost all entries share the first digits
      return i == 77 ? -1e6f : 100.0f + 1e-4f * static_cast<float>(value);
    case Gates::kSigned:  // zeros of both signs
      return i % 3 == 0 ? static_cast<float>(value)
                        : std::copysign(0.0f, static_cast<float>(value));
  }
  return 0;
}

// Blocks of `frames` tokens of one channel each.
struct Problem {
  int64_t blocks;
  Qkv x;
  TokenLayout layout;
  std::vector<int64_t> heads;

  Problem(Gates kind, int64_t batch, int64_t num_heads, int64_t tokens, int64_t frames)
      : blocks((tokens + frames - 1) / frames),
        layout(make_token_layout(TileGrid({tokens, 1, 1}, {frames, 1, 1}), 0, 0)) {
    x = {.batch = batch, .heads = num_heads, .tokens = tokens, .head_dim = blocks};
    for (int64_t i = 0; i < batch * num_heads * tokens * blocks; ++i) {
      x.q.push_back(gate_value(kind, 5, i));
      x.k.push_back(i % blocks == i / blocks % tokens / frames ? 1.0f : 0.0f);
    }
    heads.resize(num_heads);
    std::iota(heads.begin(), heads.end(), 0);
  }

  std::vector<RowSelection> select(const VmobaOptions& options, Impl impl,
                                     ThreadPool& pool) const {
    return select_vmoba(x.view(x.q), x.view(x.k), heads, layout, options, impl, pool);
  }
};

std::vector<VmobaParams> all_rules(int64_t blocks) {
  std::vector<VmobaParams> rules;
  for (const VmobaPool pool :
       {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
    for (const double tau : {0.0, 0.05, 0.25, 0.5, 0.9, 0.9999, 1.0}) {
      rules.push_back({.select = VmobaSelect::kThreshold, .threshold = tau, .pool = pool});
    }
    if (pool == VmobaPool::kBlock) continue;
    for (const int64_t k : {int64_t{1}, int64_t{2}, blocks / 2 + 1, blocks, blocks + 3}) {
      rules.push_back({.select = VmobaSelect::kTopK, .top_k = k, .pool = pool});
    }
  }
  return rules;
}

using Selections = std::vector<RowSelection>;

void expect_same(const Selections& found, const Selections& expected, const VmobaOptions& options) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].bits, expected[i].bits)
        << "plane " << i << " " << to_string(options.params.select) << " "
        << to_string(options.params.pool) << " k " << options.params.top_k << " tau "
        << options.params.threshold << (options.compat ? " compat" : "");
  }
}

TEST(VmobaStreamed, EveryRuleEqualsItsDefinition) {
  ThreadPool pool(2);
  for (const Gates kind :
       {Gates::kNormal, Gates::kTied, Gates::kEqual, Gates::kOutlier, Gates::kSigned}) {
    for (const int64_t frames : {7, 40, 200}) {  // 22 blocks with a short last one, 4, 1
      const Problem problem(kind, 2, 2, 150, frames);
      for (const VmobaParams& params : all_rules(problem.blocks)) {
        for (const bool compat : {false, true}) {
          if (compat && params.pool == VmobaPool::kHeadGlobal && params.top_k > problem.blocks) {
            continue;  // refused
          }
          const VmobaOptions options{.params = params, .compat = compat};
          const Selections expected = problem.select(options, Impl::kReference, pool);
          for (const Impl impl : available_impls()) {
            if (impl == Impl::kReference) continue;
            SCOPED_TRACE(impl_name(impl));
            expect_same(problem.select(options, impl, pool), expected, options);
          }
        }
      }
    }
  }
}

TEST(VmobaStreamed, GatesThatAreNotKeptChangeNothing) {
  ThreadPool pool(2);
  const Problem problem(Gates::kTied, 1, 3, 300, 11);
  for (const VmobaParams& params : all_rules(problem.blocks)) {
    const VmobaOptions options{.params = params, .cache_bytes = 1};
    expect_same(problem.select(options, default_cpu_impl(), pool),
                problem.select(options, Impl::kReference, pool), options);
  }
}

TEST(VmobaStreamed, AMillionEntriesOfAHead) {
  ThreadPool one(1), two(2);
  const Problem problem(Gates::kNormal, 1, 1, 16384, 256);
  VmobaOptions options{.params = {.select = VmobaSelect::kThreshold,
                                  .threshold = 0.25,
                                  .pool = VmobaPool::kHeadGlobal}};
  const Selections expected = problem.select(options, Impl::kReference, two);
  expect_same(problem.select(options, default_cpu_impl(), two), expected, options);
  options.cache_bytes = 1;
  expect_same(problem.select(options, default_cpu_impl(), one), expected, options);
}

TEST(VmobaStreamed, NotANumberLeavesTheOwnBlocks) {
  ThreadPool pool(2);
  Problem problem(Gates::kNormal, 1, 2, 150, 11);
  for (size_t i = 0; i < problem.x.q.size(); i += 3) problem.x.q[i] = std::nanf("");
  const std::vector<int32_t> own = blocks_of_positions(problem.layout);
  for (const VmobaParams& params : all_rules(problem.blocks)) {
    for (const Impl impl : available_impls()) {
      if (impl == Impl::kReference) continue;
      for (const auto& selection : problem.select({.params = params}, impl, pool)) {
        for (int64_t s = 0; s < 150; ++s) EXPECT_TRUE(selection.selected(own[s], s));
      }
    }
  }
}

}  // namespace
}  // namespace sparsescope
