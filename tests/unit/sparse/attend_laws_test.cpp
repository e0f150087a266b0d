// Laws that hold between methods and settings of attend, whatever the inputs are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "support/near.h"
#include "unit/sparse/naive_attend.h"

namespace sparsescope::testing {
namespace {

// Settings under which a sparse method computes all pairs.
TEST(AttendLaws, EverythingSelectedIsDense) {
  AttendProblem problem = make_problem(2, 2, {5, 5, 6}, 3, 2, 16, false);
  problem.gate.assign(problem.x.q.size(), 0.0f);  // VSA: the fine branch alone
  const std::vector<std::pair<std::string, OptionTexts>> settings = {
      {"vsa", {{"--sparsity", "0"}}},
      {"bsa", {{"--query-keep", "1"}, {"--kv-keep", "1"}}},
      {"bsa", {{"--query-keep", "1"}, {"--kv-rule", "topk"}, {"--kv-keep", "1"}}},
      {"vmoba", {{"--partition", "temporal:2"}, {"--top-k", "3"}}},
      {"vmoba", {{"--partition", "st:1,5,2"}, {"--top-k", "99"}, {"--pool", "head_global"}}},
      {"vmoba", {{"--partition", "spatial:5,2"}, {"--select", "threshold"}, {"--threshold", "1"}}}};
  for (const Impl impl : available_impls()) {
    const AttendRun dense = run_attend(problem, "dense", {}, impl);
    for (const auto& [method, texts] : settings) {
      SCOPED_TRACE(std::string(impl_name(impl)) + " " + method);
      const AttendRun run = run_attend(problem, method, texts, impl);
      for (const char* name : {"out", "dq", "dk", "dv"}) {
        EXPECT_TRUE(near(run.floats.at(name), dense.floats.at(name), {.max_scaled = 1e-5})) << name;
      }
    }
  }
}

TEST(AttendLaws, NoGateIsAGateOfOnes) {
  AttendProblem problem = make_problem(1, 2, {3, 4, 5}, 2, 0, 16, false);
  const AttendRun plain = run_attend(problem, "vsa", {{"--top-k", "1"}}, Impl::kReference);
  EXPECT_FALSE(plain.floats.contains("dgate"));
  problem.gate.assign(problem.x.q.size(), 1.0f);
  const AttendRun ones = run_attend(problem, "vsa", {{"--top-k", "1"}}, Impl::kReference);
  for (const char* name : {"out", "dq", "dk", "dv"}) {
    EXPECT_EQ(plain.floats.at(name), ones.floats.at(name)) << name;
  }
}

TEST(AttendLaws, MassOfTilesAndTextIsOneAndLseMatches) {
  const AttendProblem problem = make_problem(2, 2, {5, 6, 7}, 0, 0, 16, false);
  for (const char* block : {"4,4,4", "5,6,3"}) {  // tiles below and above a block of 64 rows
    const AttendRun exact =
        run_attend(problem, "dense", {{"--mass-block", block}}, Impl::kReference);
    const auto num_tiles = static_cast<size_t>(std::sqrt(exact.floats.at("mass").size() / 4));
    for (size_t row = 0; row < 4 * num_tiles; ++row) {
      const auto first = exact.floats.at("mass").begin() + static_cast<int64_t>(row * num_tiles);
      EXPECT_NEAR(std::accumulate(first, first + static_cast<int64_t>(num_tiles), 0.0), 1.0, 1e-6);
    }
    for (const Impl impl : available_impls()) {
      const AttendRun run = run_attend(problem, "dense", {{"--mass-block", block}}, impl);
      EXPECT_TRUE(near(run.floats.at("mass"), exact.floats.at("mass"), {.max_abs = 1e-5}));
      EXPECT_TRUE(near(run.floats.at("lse"), exact.floats.at("lse"), {.max_abs = 1e-4}));
    }
  }
}

// A row whose keys all score -inf has output 0; keys that score -inf get no probability.
TEST(AttendLaws, InfinitelyLowScores) {
  AttendProblem problem = make_problem(1, 1, {2, 4, 4}, 0, 0, 8, false);
  problem.d_out.clear();
  for (int64_t s = 0; s < 32; ++s) {
    problem.x.q[s * 8] = 1.0f;
    if (s < 30) problem.x.k[s * 8] = -std::numeric_limits<float>::infinity();
  }
  for (const Impl impl : available_impls()) {
    const AttendRun run = run_attend(problem, "dense", {}, impl);
    const std::vector<double> expected = [&] {
      AttendProblem finite = problem;
      for (float& value : finite.x.k) value = std::max(value, -1e6f);
      return naive_attend(finite, tensors_of(finite), run);
    }();
    EXPECT_TRUE(near(run.floats.at("out"), expected, {.max_scaled = 1e-5})) << impl_name(impl);
    for (int64_t s = 0; s < 32; ++s) problem.x.k[s * 8] = -std::numeric_limits<float>::infinity();
    const AttendRun empty = run_attend(problem, "dense", {}, impl);
    for (const float value : empty.floats.at("out")) ASSERT_EQ(value, 0.0f) << impl_name(impl);
    for (int64_t s = 30; s < 32; ++s) problem.x.k[s * 8] = 0.5f;
  }
}

// 455 tiles, an odd number that other implementations stumbled over; three steps of descent.
TEST(AttendLaws, TrainingStepsOn455Tiles) {
  const TokenGrid grid{10, 14, 26};
  const OptionTexts texts = {{"--block", "2,2,2"}, {"--sparsity", "0.95"}};
  AttendProblem problem = make_problem(1, 1, grid, 0, 0, 16, true);
  for (int step = 0; step < 3; ++step) {
    const AttendRun exact = run_attend(problem, "vsa", texts, Impl::kReference);
    const AttendRun run = run_attend(problem, "vsa", texts, available_impls().back());
    EXPECT_EQ(run.masks, exact.masks);
    for (const auto& [name, values] : exact.floats) {
      for (const float value : values) ASSERT_TRUE(std::isfinite(value)) << name;
      EXPECT_TRUE(near(run.floats.at(name), values, {.max_scaled = 1e-4})) << name;
    }
    const std::pair<std::vector<float>*, const char*> steps[] = {
        {&problem.x.q, "dq"}, {&problem.x.k, "dk"}, {&problem.x.v, "dv"}, {&problem.gate, "dgate"}};
    for (const auto& [x, name] : steps) {
      for (size_t i = 0; i < x->size(); ++i) (*x)[i] -= 0.05f * exact.floats.at(name)[i];
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
