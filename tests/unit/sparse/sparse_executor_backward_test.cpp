// Gradients of whole calls whose heads follow rules of different methods: each head's are those of
// finite differences in fp64, under the selection that attend reports for the same settings.
#include <gtest/gtest.h>

#include <limits>

#include "sparse/sparse_executor.h"
#include "support/near.h"
#include "unit/sparse/naive_attend.h"

namespace sparsescope::testing {
namespace {

constexpr TokenGrid kGrid{2, 4, 6};
constexpr TileShape kTile{2, 2, 4};  // ragged in w

// A plan's parameters, and the same for attend.
struct HeadSetting {
  std::string method;
  OptionTexts texts;
  MethodParams params;
};

HeadSetting vsa(int64_t top_k) {
  return {
      "vsa", {{"--block", "2,2,4"}, {"--top-k", std::to_string(top_k)}}, VsaParams{.top_k = top_k}};
}

HeadSetting bsa(const std::string& query_keep, double value) {
  return {"bsa",
          {{"--block", "2,2,4"},
           {"--query-keep", query_keep},
           {"--query-window", "2,2,2"},
           {"--kv-keep", "0.5"},
           {"--min-blocks", "1"}},
          BsaParams{.query_keep = value, .kv_keep = 0.5, .min_blocks = 1}};
}

HeadSetting vmoba_top_k() {
  return {"vmoba",
          {{"--partition", "spatial:2,2"}, {"--top-k", "2"}},
          VmobaParams{.partition = parse_partition("spatial:2,2"), .top_k = 2}};
}

HeadSetting vmoba_threshold() {
  return {"vmoba",
          {{"--partition", "temporal:1"}, {"--select", "threshold"}, {"--threshold", "0.4"}},
          VmobaParams{.partition = parse_partition("temporal:1"),
                      .select = VmobaSelect::kThreshold,
                      .threshold = 0.4}};
}

const HeadSetting kDense{"dense", {}, {}};

struct Gradients {
  std::vector<float> out, q, k, v;
};

class ExecutorGradients : public ::testing::TestWithParam<Impl> {
 protected:
  static constexpr int64_t kPrefix = 3;

  AttendProblem problem(int64_t heads) const {
    AttendProblem result = make_problem(1, heads, kGrid, kPrefix, 0, 4, true);
    std::fill(result.gate.begin(), result.gate.end(), 0.0f);  // plans have no coarse branch
    return result;
  }

  Gradients run(const AttendProblem& problem, const std::vector<HeadSetting>& settings,
                int threads = 2) const {
    std::vector<PlanRule> rules;
    for (const HeadSetting& setting : settings) rules.push_back({.params = setting.params});
    std::vector<const PlanRule*> rule_of_head;
    for (size_t head = 0; head < settings.size(); ++head) {
      rule_of_head.push_back(settings[head].method == "dense" ? nullptr : &rules[head]);
    }
    const Qkv& x = problem.x;
    Gradients found;
    const AttentionCall call = make_call(x, kGrid, found.out, kPrefix, 0);
    std::vector<float> lse(x.heads * x.tokens);
    ThreadPool pool(threads);
    SparseExecutor executor(kTile, GetParam(), pool);
    executor.run(call, rule_of_head, lse.data());
    const auto unwritten = [&](std::vector<float>& gradient) {
      gradient.assign(x.q.size(), std::numeric_limits<float>::quiet_NaN());
      return contiguous_output(gradient.data(), x.heads, x.tokens, x.head_dim);
    };
    // Twice, as a pull-back of several directions does: the first leaves nothing behind.
    std::vector<float> other(x.q.size(), 1.0f);
    for (const std::vector<float>* d_out : {&std::as_const(other), &problem.d_out}) {
      executor.backward(call, rule_of_head, lse.data(), x.view(*d_out), unwritten(found.q),
                        unwritten(found.k), unwritten(found.v));
    }
    return found;
  }

  // Every third entry of the head.
  void expect_head(const AttendProblem& problem, const Gradients& found, int64_t head,
                   const HeadSetting& setting) const {
    const AttendRun truth = run_attend(problem, setting.method, setting.texts, GetParam());
    const double tolerance = GetParam() == Impl::kReference ? 2e-6 : 3e-5;
    const int64_t size = problem.x.tokens * problem.x.head_dim;
    const auto first = found.out.begin() + head * size;
    const auto expected_first = truth.floats.at("out").begin() + head * size;
    EXPECT_TRUE(near(std::vector(first, first + size),
                     std::vector(expected_first, expected_first + size), {.max_abs = 1e-5}));
    for (const auto& [values, tensor] : {std::pair{&found.q, &NaiveTensors::q},
                                         {&found.k, &NaiveTensors::k},
                                         {&found.v, &NaiveTensors::v}}) {
      std::vector<double> picked, expected;
      for (int64_t i = head * size; i < (head + 1) * size; i += 3) {
        picked.push_back((*values)[i]);
        expected.push_back(naive_derivative(problem, truth, tensor, i));
      }
      EXPECT_TRUE(near(picked, expected, {.max_scaled = tolerance}))
          << setting.method << ", head " << head;
    }
  }

  void expect_finite_differences(const std::vector<HeadSetting>& settings) const {
    const AttendProblem given = problem(std::ssize(settings));
    const Gradients found = run(given, settings);
    for (int64_t head = 0; head < std::ssize(settings); ++head) {
      expect_head(given, found, head, settings[head]);
    }
  }
};

TEST_P(ExecutorGradients, OfEachMethodOnAllHeads) {
  for (const HeadSetting& setting :
       {kDense, vsa(2), bsa("0.5", 0.5), bsa("1", 1.0), vmoba_top_k(), vmoba_threshold()}) {
    expect_finite_differences({setting, setting});
  }
}

TEST_P(ExecutorGradients, OfHeadsOfDifferentMethods) {
  expect_finite_differences({kDense, vsa(2), bsa("0.5", 0.5), kDense, vmoba_top_k(), vsa(3),
                             vmoba_threshold(), bsa("1", 1.0), kDense});
}

TEST_P(ExecutorGradients, ThreadsChangeNothingButRounding) {
  const std::vector<HeadSetting> settings = {vsa(2), kDense, bsa("0.5", 0.5), vmoba_top_k()};
  const AttendProblem given = problem(4);
  const Gradients one = run(given, settings, 1), two = run(given, settings, 2);
  EXPECT_TRUE(near(two.q, one.q, {.max_scaled = 2e-6}));
  EXPECT_TRUE(near(two.k, one.k, {.max_scaled = 2e-6}));
  EXPECT_TRUE(near(two.v, one.v, {.max_scaled = 2e-6}));
}

INSTANTIATE_TEST_SUITE_P(Impls, ExecutorGradients, ::testing::ValuesIn(available_impls()),
                         [](const auto& tested) {
                           std::string name(impl_name(tested.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace sparsescope::testing
