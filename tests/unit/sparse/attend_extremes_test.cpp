// attend on inputs that break careless arithmetic, forward and backward, for every method, body and
// element type: outliers, scores times 16, equal scores, keys whose scores are -inf, rows without a
// finite score. Judged by autograd in fp64 under the selection found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "unit/sparse/autograd.h"

namespace sparsescope::testing {
namespace {

const std::vector<AttendSetting> kSettings = {
    {"dense", "dense", {}},
    {"vsa", "vsa", {{"--block", "2,3,4"}, {"--top-k", "3"}}, true},
    {"bsa_similar", "bsa", {{"--block", "2,3,4"}, {"--min-blocks", "1"}}},
    {"bsa_centre", "bsa", {{"--block", "2,3,4"}, {"--restore", "centre"}, {"--kv-rule", "cdf"}}},
    {"bsa_nearest",
     "bsa",
     {{"--block", "2,3,4"}, {"--restore", "nearest"}, {"--kv-rule", "gauss_prob"}}},
    {"bsa_zero",
     "bsa",
     {{"--block", "2,3,4"}, {"--restore", "zero"}, {"--kv-rule", "gauss_logit_head"}}},
    {"vmoba_topk", "vmoba", {{"--partition", "st:1,3,5"}, {"--top-k", "2"}}},
    {"vmoba_query",
     "vmoba",
     {{"--partition", "spatial:3,5"}, {"--select", "threshold"}, {"--threshold", "0.3"}}},
    {"vmoba_head",
     "vmoba",
     {{"--partition", "temporal:1"},
      {"--select", "threshold"},
      {"--threshold", "0.3"},
      {"--pool", "head_global"}}}};

enum class Extreme { kOutliers, kLarge, kEqual, kMaskedKeys };

std::string name_of(Extreme extreme) {
  constexpr const char* kNames[] = {"outliers", "large", "equal", "masked"};
  return kNames[static_cast<int>(extreme)];
}

// Their product is -inf in fp32, the sum of a tile of such keys is not.
constexpr float kMaskedKey = -1e37f, kQuery = 64.0f;

void set_channel(std::vector<float>& x, int64_t head_dim, int64_t token, int64_t tokens,
                 float value) {
  for (int64_t i = token * head_dim; i < std::ssize(x); i += tokens * head_dim) x[i] = value;
}

AttendProblem extreme_problem(Extreme extreme, bool gate) {
  AttendProblem problem = make_problem(1, 2, {3, 6, 10}, 3, 2, 32, gate);
  Qkv& x = problem.x;
  switch (extreme) {
    case Extreme::kOutliers:
      for (size_t i = 0; i < x.q.size(); i += 97) x.q[i] *= 50;
      for (size_t i = 0; i < x.k.size(); i += 89) x.k[i] *= -50;
      for (size_t i = 0; i < x.v.size(); i += 83) x.v[i] *= 1e4f;
      break;
    case Extreme::kLarge:
      for (float& value : x.q) value *= 16;
      break;
    case Extreme::kEqual:
      std::fill(x.q.begin(), x.q.end(), 0.0f);
      break;
    case Extreme::kMaskedKeys:  // a run of whole blocks, single keys, and a text key
      for (int64_t token = 0; token < x.tokens; ++token) {
        const bool masked = token == 1 || token % 13 == 5 || (token > 60 && token < 100);
        set_channel(x.q, x.head_dim, token, x.tokens, kQuery);
        set_channel(x.k, x.head_dim, token, x.tokens, masked ? kMaskedKey : 0.0f);
      }
      break;
  }
  return problem;
}

class AttendExtremes : public ::testing::TestWithParam<std::tuple<AttendSetting, Extreme>> {};

TEST_P(AttendExtremes, AgreeWithAutograd) {
  const auto& [setting, extreme] = GetParam();
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    const AttendProblem problem = rounded_to(extreme_problem(extreme, setting.gate), dtype);
    TruthOf truth_of(problem);
    for (const Impl impl : available_impls()) {
      SCOPED_TRACE(std::string(impl_name(impl)) + " " + std::string(dtype_name(dtype)));
      const AttendRun run = run_attend(problem, setting.method, setting.texts, impl, 2, dtype);
      const bool rounds = impl == Impl::kCpuAvx512Bf16 && dtype == Dtype::kBF16;
      const double exact = extreme == Extreme::kLarge ? 2e-4 : 3e-5;  // scores of thousands
      expect_truth(run, truth_of(run), {.max_scaled = rounds ? 2e-2 : exact});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Inputs, AttendExtremes,
                         ::testing::Combine(::testing::ValuesIn(kSettings),
                                            ::testing::Values(Extreme::kOutliers, Extreme::kLarge,
                                                              Extreme::kEqual,
                                                              Extreme::kMaskedKeys)),
                         [](const auto& instance) {
                           return std::get<0>(instance.param).name + "_" +
                                  name_of(std::get<1>(instance.param));
                         });

// Every score of some rows is -inf: their output is 0, no gradient flows through them, and the
// other rows do not notice.
class RowsWithoutFiniteScores : public ::testing::TestWithParam<AttendSetting> {
 protected:
  static bool is_dead(int64_t token) { return token % 11 == 3; }

  // Rows that are dead or get their output from a dead one, [B * H * S].
  static std::vector<bool> silent_rows(const AttendProblem& problem, const AttendRun& run) {
    std::vector<bool> silent;
    const int64_t video = problem.grid.tokens(), tokens = problem.x.tokens;
    for (int64_t row = 0; row < problem.x.batch * problem.x.heads * tokens; ++row) {
      const int64_t token = row % tokens, raster = token - problem.prefix;
      int64_t source = token;
      if (run.plan && !run.plan->lists.restore_from.empty() && raster >= 0 && raster < video) {
        source = run.plan->lists.restore_from[row / tokens * video + raster];
      }
      silent.push_back(source < 0 || is_dead(source));
    }
    return silent;
  }
};

TEST_P(RowsWithoutFiniteScores, AreZeroAndSilent) {
  const AttendSetting& setting = GetParam();
  AttendProblem plain = make_problem(1, 2, {3, 6, 10}, 3, 2, 32, false);
  const int64_t tokens = plain.x.tokens, head_dim = plain.x.head_dim;
  for (int64_t token = 0; token < tokens; ++token) {
    set_channel(plain.x.q, head_dim, token, tokens, 0.0f);
    set_channel(plain.x.k, head_dim, token, tokens, 0.0f);
  }
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    plain = rounded_to(plain, dtype);
    AttendProblem problem = plain;  // the first channel counts for dead rows alone
    for (int64_t token = 0; token < tokens; ++token) {
      set_channel(problem.x.q, head_dim, token, tokens, is_dead(token) ? kQuery : 0.0f);
      set_channel(problem.x.k, head_dim, token, tokens, kMaskedKey);
    }
    for (const Impl impl : available_impls()) {
      if (impl == Impl::kReference) continue;  // in fp64 these scores are finite
      SCOPED_TRACE(std::string(impl_name(impl)) + " " + std::string(dtype_name(dtype)));
      AttendRun run = run_attend(problem, setting.method, setting.texts, impl, 2, dtype);
      const std::vector<bool> silent = silent_rows(problem, run);
      AttendProblem judged = plain;
      for (size_t i = 0; i < judged.d_out.size(); ++i) {
        if (silent[i / head_dim]) judged.d_out[i] = 0;
      }
      Truth truth = autograd_attend(judged, run);
      for (size_t i = 0; i < judged.d_out.size(); ++i) {
        if (silent[i / head_dim]) truth["out"][i] = 0;
        // The sum of a row's dS, which is 0 but for rounding, times kMaskedKey.
        if (i % head_dim == 0 && !is_dead(static_cast<int64_t>(i) / head_dim % tokens)) {
          run.floats["dq"][i] = 0;
        }
      }
      const bool rounds = impl == Impl::kCpuAvx512Bf16 && dtype == Dtype::kBF16;
      expect_truth(run, truth, {.max_scaled = rounds ? 2e-2 : 3e-5});
    }
  }
}

std::vector<AttendSetting> settings_without_coarse_branch() {
  std::vector<AttendSetting> settings = kSettings;
  std::erase_if(settings, [](const AttendSetting& setting) { return setting.method == "vsa"; });
  return settings;
}

INSTANTIATE_TEST_SUITE_P(Methods, RowsWithoutFiniteScores,
                         ::testing::ValuesIn(settings_without_coarse_branch()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace sparsescope::testing
