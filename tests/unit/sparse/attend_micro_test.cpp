// The hand-checkable cases of the methods' publications, with all their gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "support/near.h"
#include "unit/sparse/naive_attend.h"

namespace sparsescope::testing {
namespace {

double sum(const std::vector<float>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
double squares(const std::vector<float>& x) {
  return std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
}

void expect_row(const AttendRun& run, const std::string& name, int64_t row,
                const std::vector<double>& expected, double tolerance) {
  const auto width = static_cast<int64_t>(expected.size());
  for (int64_t d = 0; d < width; ++d) {
    EXPECT_NEAR(run.floats.at(name)[row * width + d], expected[d], tolerance) << name << row;
  }
}

AttendProblem vsa_problem() {
  const auto f = [](int64_t a, int64_t m, int64_t o) { return pattern(18, 2, a, m, o, 13, 6, 4); };
  return {.x = {.tokens = 18, .head_dim = 2, .q = f(5, 7, 1), .k = f(3, 4, 2), .v = f(7, 2, 5)},
          .gate = f(2, 9, 0),
          .d_out = f(11, 5, 3),
          .grid = {2, 3, 3}};
}

struct VsaCase {
  std::string top_k, mask;
  std::vector<double> first, middle, last, gradients;  // O[0], O[8], O[17]; sums of squares
  double sum, squares;
};

TEST(AttendMicro, VsaListsValuesAndGradients) {
  const std::vector<VsaCase> cases = {{"1",
                                       "0001000100100001",
                                       {0.449130, 1.131342},
                                       {0.446523, 1.293254},
                                       {0.550375, 0.915131},
                                       {0.902903, 0.481165, 4.999111},
                                       19.833792,
                                       20.896029},
                                      {"2",
                                       "1001100101101001",
                                       {0.179175, 0.550512},
                                       {0.217905, 0.666611},
                                       {0.070428, -0.533758},
                                       {4.024079, 6.039998, 9.710751},
                                       -0.624558,
                                       5.908207},
                                      {"4",
                                       "1111111111111111",
                                       {0.107398, 0.371234},
                                       {0.134736, 0.499730},
                                       {-0.348307, -0.514655},
                                       {1.645712, 2.822268, 7.168837},
                                       -4.211095,
                                       4.697112}};
  const AttendProblem problem = vsa_problem();
  for (const Impl impl : available_impls()) {
    SCOPED_TRACE(impl_name(impl));
    for (const VsaCase& wanted : cases) {
      const AttendRun run =
          run_attend(problem, "vsa", {{"--block", "2,2,2"}, {"--top-k", wanted.top_k}}, impl);
      std::string mask;
      for (const uint8_t bit : run.masks.at("mask")) mask += bit != 0 ? '1' : '0';
      EXPECT_EQ(mask, wanted.mask);
      expect_row(run, "scores", 1, {0.024859, -0.030383, -0.104961, 0.198874}, 1e-6);
      expect_row(run, "out", 0, wanted.first, 2e-6);
      expect_row(run, "out", 8, wanted.middle, 2e-6);
      expect_row(run, "out", 17, wanted.last, 2e-6);
      EXPECT_NEAR(sum(run.floats.at("out")), wanted.sum, 1e-5);
      EXPECT_NEAR(squares(run.floats.at("out")), wanted.squares, 1e-5);
      EXPECT_NEAR(squares(run.floats.at("dq")), wanted.gradients[0], 1e-5);
      EXPECT_NEAR(squares(run.floats.at("dk")), wanted.gradients[1], 1e-5);
      EXPECT_NEAR(squares(run.floats.at("dv")), wanted.gradients[2], 1e-5);
      EXPECT_NEAR(squares(run.floats.at("dgate")), 0.418443, 1e-6);
      if (wanted.top_k != "2") continue;
      expect_row(run, "dq", 0, {-0.331284, -0.153924}, 2e-6);
      expect_row(run, "dk", 17, {-0.203911, 0.131856}, 2e-6);
      expect_row(run, "dv", 8, {0.345120, 1.076283}, 2e-6);
    }
  }
}

AttendProblem bsa_problem() {
  const auto f = [](int64_t a, int64_t m, int64_t o, double divisor) {
    return pattern(32, 3, a, m, o, 37, 18, divisor);
  };
  return {.x = {.tokens = 32,
                .head_dim = 3,
                .q = f(25, 4, 4, 8),
                .k = f(35, 25, 22, 2),
                .v = f(7, 2, 5, 8)},
          .d_out = f(11, 5, 3, 8),
          .grid = {2, 2, 8}};
}

struct BsaCase {
  OptionTexts texts;
  double sum, squares;
  std::vector<double> first, gradients;
};

TEST(AttendMicro, BsaEveryRestoreRuleAndParity) {
  const auto with = [](const char* keep, const char* restore) {
    return OptionTexts{{"--block", "2,2,2"},
                       {"--query-window", "none"},
                       {"--kv-keep", keep},
                       {"--restore", restore},
                       {"--min-blocks", "1"}};
  };
  const std::vector<BsaCase> cases = {
      {with("0.5", "zero"), 9.655485, 20.195370, {0, 0, 0}, {447.8610, 137.6201, 36.4342}},
      {with("0.5", "nearest"),
       20.553049,
       42.043960,
       {0.352883, 0.303277, 0.553277},
       {809.4465, 243.1936, 58.0806}},
      {with("0.5", "centre"),
       22.663389,
       40.475319,
       {-0.034905, 0.215014, 0.465014},
       {993.8647, 174.4367, 39.8221}},
      {with("0.5", "similar"),
       23.940035,
       37.285108,
       {-0.034905, 0.215014, 0.465014},
       {985.4395, 17.3288, 26.4478}},
      {with("0.25", "similar"),
       9.129654,
       50.780578,
       {0.336775, 0.586775, 0.836775},
       {997.1586, 75.4866, 54.7292}},
      {{{"--preset", "fastvideo"}, {"--block", "2,2,2"}, {"--min-blocks", "1"}},
       2.283194,
       46.190852,
       {0.290225, 0.540225, 0.658706},
       {506.9011, 195.2137, 65.7177}}};
  const AttendProblem problem = bsa_problem();
  for (const Impl impl : available_impls()) {
    for (size_t i = 0; i < cases.size(); ++i) {
      SCOPED_TRACE(std::string(impl_name(impl)) + " case " + std::to_string(i));
      const BsaCase& wanted = cases[i];
      const AttendRun run = run_attend(problem, "bsa", wanted.texts, impl);
      const double tolerance = impl == Impl::kReference ? 1e-5 : 1e-4;  // fp64, fp32
      EXPECT_NEAR(sum(run.floats.at("out")), wanted.sum, tolerance);
      EXPECT_NEAR(squares(run.floats.at("out")), wanted.squares, tolerance);
      expect_row(run, "out", 0, wanted.first, 2e-6);
      const char* const names[] = {"dq", "dk", "dv"};
      for (int n = 0; n < 3; ++n) {
        EXPECT_NEAR(squares(run.floats.at(names[n])), wanted.gradients[n],
                    1e-4 + 2e-6 * wanted.gradients[n])
            << names[n];
      }
    }
  }
}

// The lists that every key rule gives on the published scores.
TEST(AttendMicro, BsaMasksOfEveryKeyRule) {
  struct Lists {
    std::string rule, keep, lists, fastvideo;
  };
  const std::vector<Lists> table = {{"gauss_logit", "0.5", "03/03/2/03", "01/03/12/01"},
                                    {"gauss_logit", "0.25", "0/3/2/03", "1/3/2/1"},
                                    {"gauss_prob", "0.5", "03/3/2/03", "1/3/2/1"},
                                    {"gauss_prob", "0.25", "0/3/2/0", "1/3/2/1"},
                                    {"gauss_logit_head", "0.5", "03/3/2/03", "012/3/2/012"},
                                    {"gauss_logit_head", "0.25", "0/3/2/03", "1/3/2/1"},
                                    {"topk", "0.5", "03/03/12/03", "01/03/12/01"},
                                    {"topk", "0.25", "0/3/2/0", "1/3/2/1"},
                                    {"cdf", "", "", "012/03/123/012"}};
  const auto lists_of = [](const OptionTexts& texts, Impl impl) {
    const AttendRun run = run_attend(bsa_problem(), "bsa", texts, impl);
    std::string lists;
    for (size_t i = 0; i < 16; ++i) {
      if (i > 0 && i % 4 == 0) lists += '/';
      if (run.masks.at("mask")[i] != 0) lists += std::to_string(i % 4);
    }
    return lists;
  };
  for (const Impl impl : available_impls()) {
    for (const Lists& row : table) {
      SCOPED_TRACE(std::string(impl_name(impl)) + " " + row.rule + " " + row.keep);
      OptionTexts texts = {{"--block", "2,2,2"}, {"--min-blocks", "1"}, {"--kv-rule", row.rule}};
      if (!row.keep.empty()) texts["--kv-keep"] = row.keep;
      texts["--query-window"] = "none";
      if (!row.lists.empty()) {
        EXPECT_EQ(lists_of(texts, impl), row.lists);
      }
      texts["--preset"] = "fastvideo";
      EXPECT_EQ(lists_of(texts, impl), row.fastvideo);
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
