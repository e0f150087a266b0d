// Output and gradients of attend against the naive form and finite differences in fp64: every
// method and restore rule, uneven lists, partial tiles, text, two samples, large and equal logits.
#include <gtest/gtest.h>

#include <cmath>

#include "support/near.h"
#include "unit/sparse/naive_attend.h"

namespace sparsescope::testing {
namespace {

const std::vector<AttendSetting> kSettings = {
    {"dense", "dense", {}},
    {"vsa_gate", "vsa", {{"--block", "2,2,2"}, {"--top-k", "2"}}, true},
    {"vsa_plain", "vsa", {{"--block", "2,2,3"}, {"--sparsity", "0.7"}}},
    {"bsa_similar",
     "bsa",
     {{"--block", "2,2,2"}, {"--query-window", "none"}, {"--min-blocks", "2"}}},
    {"bsa_centre", "bsa", {{"--block", "2,3,2"}, {"--restore", "centre"}, {"--min-blocks", "1"}}},
    {"bsa_nearest", "bsa", {{"--block", "2,2,4"}, {"--restore", "nearest"}, {"--kv-rule", "cdf"}}},
    {"bsa_zero", "bsa", {{"--block", "2,2,2"}, {"--restore", "zero"}, {"--kv-rule", "topk"}}},
    {"bsa_head",
     "bsa",
     {{"--block", "2,2,2"}, {"--kv-rule", "gauss_logit_head"}, {"--min-blocks", "1"}}},
    {"vmoba_topk", "vmoba", {{"--partition", "temporal:2"}, {"--top-k", "1"}}},
    {"vmoba_query",
     "vmoba",
     {{"--partition", "spatial:3,2"}, {"--select", "threshold"}, {"--threshold", "0.4"}}},
    {"vmoba_head",
     "vmoba",
     {{"--partition", "st:1,3,2"},
      {"--select", "threshold"},
      {"--threshold", "0.3"},
      {"--pool", "head_global"}}},
    {"vmoba_block",
     "vmoba",
     {{"--partition", "st:1,3,4"},
      {"--select", "threshold"},
      {"--threshold", "0.3"},
      {"--pool", "block"}}},
    {"vmoba_overall",
     "vmoba",
     {{"--partition", "st:1,1,4"}, {"--top-k", "3"}, {"--pool", "overall"}}}};

double tolerance_of(Impl impl) { return impl == Impl::kReference ? 2e-6 : 3e-5; }

void expect_gradient(const AttendProblem& problem, const AttendRun& run, const std::string& name,
                     std::vector<double> NaiveTensors::*tensor, int64_t stride, double tolerance) {
  const std::vector<float>& found = run.floats.at(name);
  std::vector<double> picked, expected;
  for (size_t i = 0; i < found.size(); i += stride) {
    picked.push_back(found[i]);
    expected.push_back(naive_derivative(problem, run, tensor, static_cast<int64_t>(i)));
  }
  EXPECT_TRUE(near(picked, expected, {.max_scaled = tolerance})) << name;
}

// Every stride-th entry of each gradient.
void expect_naive(const AttendProblem& problem, const AttendRun& run, int64_t stride,
                  double tolerance) {
  EXPECT_TRUE(near(run.floats.at("out"), naive_attend(problem, tensors_of(problem), run),
                   {.max_scaled = tolerance}));
  expect_gradient(problem, run, "dq", &NaiveTensors::q, stride, tolerance);
  expect_gradient(problem, run, "dk", &NaiveTensors::k, stride, tolerance);
  expect_gradient(problem, run, "dv", &NaiveTensors::v, stride, tolerance);
  if (!problem.gate.empty()) {
    expect_gradient(problem, run, "dgate", &NaiveTensors::gate, stride, tolerance);
  }
}

class AttendGradients : public ::testing::TestWithParam<AttendSetting> {};

TEST_P(AttendGradients, FiniteDifferencesWithTextAndTwoSamples) {
  const AttendSetting& setting = GetParam();
  const AttendProblem problem = make_problem(2, 2, {3, 3, 4}, 2, 1, 4, setting.gate);
  for (const Impl impl : available_impls()) {
    SCOPED_TRACE(impl_name(impl));
    const AttendRun run = run_attend(problem, setting.method, setting.texts, impl);
    expect_naive(problem, run, impl == Impl::kReference ? 1 : 3, tolerance_of(impl));
  }
}

TEST_P(AttendGradients, ThreadsChangeNothingButRounding) {
  const AttendSetting& setting = GetParam();
  const AttendProblem problem = make_problem(1, 2, {5, 6, 8}, 3, 0, 64, setting.gate);
  for (const Impl impl : available_impls()) {
    SCOPED_TRACE(impl_name(impl));
    const AttendRun run = run_attend(problem, setting.method, setting.texts, impl, 1);
    const AttendRun threaded = run_attend(problem, setting.method, setting.texts, impl, 3);
    EXPECT_EQ(threaded.masks, run.masks);
    for (const auto& [name, values] : run.floats) {
      EXPECT_TRUE(near(threaded.floats.at(name), values, {.max_scaled = 2e-6})) << name;
    }
  }
}

TEST_P(AttendGradients, LargeAndEqualLogits) {
  const AttendSetting& setting = GetParam();
  for (const float factor : {16.0f, 0.0f}) {
    AttendProblem problem = make_problem(1, 2, {3, 3, 4}, 1, 1, 8, setting.gate);
    for (float& value : problem.x.q) value *= factor;
    const AttendRun exact = run_attend(problem, setting.method, setting.texts, Impl::kReference);
    EXPECT_TRUE(near(exact.floats.at("out"), naive_attend(problem, tensors_of(problem), exact),
                     {.max_scaled = 2e-6}));
    for (const Impl impl : available_impls()) {
      SCOPED_TRACE(impl_name(impl));
      const AttendRun run = run_attend(problem, setting.method, setting.texts, impl);
      EXPECT_EQ(run.masks, exact.masks);
      for (const auto& [name, values] : exact.floats) {
        EXPECT_TRUE(near(run.floats.at(name), values, {.max_scaled = 2e-4})) << name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, AttendGradients, ::testing::ValuesIn(kSettings),
                         [](const auto& instance) { return instance.param.name; });

// bf16 inputs hold the same numbers as fp32 ones that were rounded before.
TEST(AttendTypes, HalfInputsEqualTheirWideningWhateverTheirStrides) {
  const AttendProblem problem =
      rounded_to(make_problem(2, 2, {3, 4, 4}, 2, 0, 32, true), Dtype::kBF16);
  const AttendRun wide = run_attend(problem, "vsa", {{"--top-k", "1"}}, Impl::kReference);
  // [B, S, H, D] in bf16
  const Qkv& x = problem.x;
  std::vector<std::vector<uint16_t>> memory;
  const auto view = [&](const std::vector<float>& values) {
    std::vector<uint16_t>& halves = memory.emplace_back(values.size());
    for (int64_t b = 0; b < x.batch; ++b) {
      for (int64_t h = 0; h < x.heads; ++h) {
        for (int64_t s = 0; s < x.tokens; ++s) {
          for (int64_t d = 0; d < x.head_dim; ++d) {
            halves[((b * x.tokens + s) * x.heads + h) * x.head_dim + d] =
                float_to_bf16(x.row(values, b, h, s)[d]);
          }
        }
      }
    }
    AttentionTensor tensor = contiguous_attention_tensor(halves.data(), Dtype::kBF16, x.batch,
                                                         x.heads, x.tokens, x.head_dim);
    tensor.stride_head = x.head_dim;
    tensor.stride_token = x.heads * x.head_dim;
    return tensor;
  };
  AttendInputs inputs{.q = view(x.q), .k = view(x.k), .v = view(x.v)};
  inputs.gate = view(problem.gate);
  inputs.d_out = view(problem.d_out);
  ThreadPool pool(2);
  for (const Impl impl : available_impls()) {
    SCOPED_TRACE(impl_name(impl));
    const AttendRun run =
        as_run(attend(inputs,
                      {.grid = problem.grid,
                       .prefix = 2,
                       .method = parse_method_settings("vsa", {{"--top-k", "1"}}, problem.grid),
                       .backward = true},
                      impl, pool));
    EXPECT_EQ(run.masks, wide.masks);
    for (const auto& [name, values] : wide.floats) {
      // a back end may multiply bf16 inputs in bf16
      EXPECT_TRUE(near(run.floats.at(name), values, {.rel_l2 = 1e-2})) << name;
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
