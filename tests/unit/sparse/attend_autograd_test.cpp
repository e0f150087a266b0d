// Output and gradients of attend against LibTorch's autograd of masked dense attention in fp64:
// ragged grids with text and two samples, every method, key rule, restore rule and pool, lists of
// uneven length, tiles that no query selects.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/rng.h"
#include "support/near.h"
#include "unit/sparse/autograd.h"

namespace sparsescope::testing {
namespace {

AttendSetting bsa(std::string name, OptionTexts texts) {
  texts.emplace("--min-blocks", "1");
  return {std::move(name), "bsa", std::move(texts)};
}

AttendSetting vmoba(std::string name, const char* partition, OptionTexts texts) {
  texts.emplace("--partition", partition);
  if (texts.contains("--threshold")) texts.emplace("--select", "threshold");
  return {std::move(name), "vmoba", std::move(texts)};
}

// For the grid 5,9,10: tiles 4,4,4 have 64, 32, 16, 8, 4 and 2 tokens.
std::vector<AttendSetting> settings() {
  return {
      {"dense", "dense", {}},
      {"vsa_gate", "vsa", {{"--top-k", "3"}}, true},
      {"vsa_plain", "vsa", {{"--block", "2,3,4"}, {"--sparsity", "0.9"}}},
      {"vsa_one", "vsa", {{"--block", "3,4,3"}, {"--top-k", "1"}}, true},
      {"vsa_rounded", "vsa", {{"--top-k", "2"}, {"--rounding", "fastvideo"}}, true},
      bsa("bsa_similar", {}),
      bsa("bsa_centre", {{"--restore", "centre"}, {"--kv-keep", "0.25"}}),
      bsa("bsa_nearest", {{"--restore", "nearest"}, {"--kv-rule", "cdf"}, {"--kv-mass", "0.5"}}),
      bsa("bsa_zero", {{"--restore", "zero"}, {"--kv-rule", "topk"}}),
      bsa("bsa_prob", {{"--kv-rule", "gauss_prob"}, {"--query-window", "none"}}),
      bsa("bsa_head", {{"--kv-rule", "gauss_logit_head"}, {"--query-keep", "0.25"}}),
      bsa("bsa_window", {{"--query-window", "4,1,2"}, {"--centre", "0,1,2"}}),
      bsa("bsa_window_first", {{"--centre", "window_first"}, {"--restore", "centre"}}),
      bsa("bsa_window_last", {{"--centre", "window_last"}, {"--block", "3,4,3"}}),
      vmoba("vmoba_topk", "temporal:2", {{"--top-k", "2"}}),
      vmoba("vmoba_own", "st:1,3,5", {{"--top-k", "1"}}),
      vmoba("vmoba_topk_head", "spatial:3,5", {{"--top-k", "2"}, {"--pool", "head_global"}}),
      vmoba("vmoba_topk_overall", "st:5,3,2", {{"--top-k", "4"}, {"--pool", "overall"}}),
      vmoba("vmoba_query", "spatial:3,2", {{"--threshold", "0.25"}}),
      vmoba("vmoba_head", "st:1,3,5", {{"--threshold", "0.25"}, {"--pool", "head_global"}}),
      vmoba("vmoba_block", "st:5,3,2", {{"--threshold", "0.3"}, {"--pool", "block"}}),
      vmoba("vmoba_overall", "temporal:1", {{"--threshold", "0.4"}, {"--pool", "overall"}}),
      vmoba("vmoba_compat", "spatial:3,5", {{"--top-k", "1"}, {"--compat", ""}})};
}

class AttendAutograd : public ::testing::TestWithParam<AttendSetting> {};

TEST_P(AttendAutograd, RaggedGridWithTextAndTwoSamples) {
  const AttendSetting& setting = GetParam();
  for (const int64_t head_dim : {32, 64}) {
    SCOPED_TRACE(head_dim);
    const AttendProblem problem = make_problem(2, 2, {5, 9, 10}, 6, 3, head_dim, setting.gate);
    TruthOf truth_of(problem);
    for (const Impl impl : available_impls()) {
      if (impl == Impl::kReference && head_dim > 32) continue;  // slow
      SCOPED_TRACE(impl_name(impl));
      const AttendRun run = run_attend(problem, setting.method, setting.texts, impl);
      const double bound = impl == Impl::kReference ? 2e-6 : 3e-5;  // scores of up to hundreds
      expect_truth(run, truth_of(run), {.max_scaled = bound});
    }
  }
}

// Halves are widened, but for the products of probabilities and values where the processor
// multiplies bf16.
TEST_P(AttendAutograd, HalfInputs) {
  const AttendSetting& setting = GetParam();
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    SCOPED_TRACE(dtype_name(dtype));
    const AttendProblem problem =
        rounded_to(make_problem(2, 1, {5, 9, 10}, 6, 3, 64, setting.gate), dtype);
    TruthOf truth_of(problem);
    for (const Impl impl : available_impls()) {
      if (impl == Impl::kReference) continue;  // slow
      SCOPED_TRACE(impl_name(impl));
      const AttendRun run = run_attend(problem, setting.method, setting.texts, impl, 2, dtype);
      const bool rounds = impl == Impl::kCpuAvx512Bf16 && dtype == Dtype::kBF16;
      expect_truth(run, truth_of(run), {.max_scaled = rounds ? 2e-2 : 3e-5});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, AttendAutograd, ::testing::ValuesIn(settings()),
                         [](const auto& instance) { return instance.param.name; });

// What the cases above are meant to hold.
TEST(AttendAutogradCases, HaveUnselectedTilesAndUnevenLists) {
  bool uneven = false;
  for (const AttendSetting& setting : settings()) {
    if (setting.method != "vsa" && setting.method != "bsa") continue;
    const AttendProblem problem = make_problem(2, 2, {5, 9, 10}, 6, 3, 32, setting.gate);
    const AttendRun run = run_attend(problem, setting.method, setting.texts, Impl::kReference);
    const std::vector<uint8_t>& mask = run.masks.at("mask");
    const int64_t num_tiles = TileGrid(problem.grid, run.plan->block).num_tiles();
    int64_t unselected = 0;
    for (int64_t first = 0; first < std::ssize(mask); first += num_tiles * num_tiles) {
      std::vector<int64_t> rows(num_tiles, 0), columns(num_tiles, 0);
      for (int64_t i = 0; i < num_tiles; ++i) {
        for (int64_t j = 0; j < num_tiles; ++j) {
          rows[i] += mask[first + i * num_tiles + j];
          columns[j] += mask[first + i * num_tiles + j];
        }
      }
      unselected += std::count(columns.begin(), columns.end(), 0);
      uneven |= *std::max_element(rows.begin(), rows.end()) >
                *std::min_element(rows.begin(), rows.end()) + 2;
    }
    EXPECT_GT(unselected, 0) << setting.name;
  }
  EXPECT_TRUE(uneven);
}

// The published bounds for VMoBA: blocks of 64 to 256 tokens, two to four of them a query.
class VmobaPublishedBounds : public ::testing::TestWithParam<std::tuple<int64_t, const char*>> {};

TEST_P(VmobaPublishedBounds, Fp32AndBf16) {
  const auto& [head_dim, partition] = GetParam();
  AttendProblem problem = make_problem(1, 2, {8, 8, 8}, 0, 0, head_dim, false);
  for (size_t i = 0; i < problem.x.q.size(); ++i) {
    problem.x.q[i] = static_cast<float>(normal(1, i));
    problem.x.k[i] = static_cast<float>(normal(2, i));
    problem.x.v[i] = static_cast<float>(normal(3, i));
  }
  const AttendProblem rounded = rounded_to(problem, Dtype::kBF16);
  TruthOf truth_of(problem), truth_of_rounded(rounded);
  for (const char* top_k : {"2", "3", "4"}) {
    const OptionTexts texts = {{"--partition", partition}, {"--top-k", top_k}};
    for (const Impl impl : available_impls()) {
      if (impl == Impl::kReference && (*top_k != '2' || head_dim > 64)) continue;  // slow
      SCOPED_TRACE(std::string(impl_name(impl)) + " k " + top_k);
      const AttendRun exact = run_attend(problem, "vmoba", texts, impl);
      expect_truth(exact, truth_of(exact), {.max_scaled = 1e-5});  // published: 1e-4
      const AttendRun half = run_attend(rounded, "vmoba", texts, impl, 2, Dtype::kBF16);
      for (const auto& [name, expected] : truth_of_rounded(half)) {
        const std::vector<float>& found = half.floats.at(name);
        double mean = 0;
        for (size_t i = 0; i < expected.size(); ++i) {
          const double error = std::abs(found[i] - expected[i]);
          ASSERT_LE(error, 2e-2 + 2e-2 * std::abs(expected[i])) << name << " " << i;
          mean += error / static_cast<double>(expected.size());
        }
        EXPECT_LT(mean, 4e-4) << name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, VmobaPublishedBounds,
                         ::testing::Combine(::testing::Values(64, 128),
                                            ::testing::Values("temporal:4", "spatial:4,4",
                                                              "st:4,4,4")));

}  // namespace
}  // namespace sparsescope::testing
