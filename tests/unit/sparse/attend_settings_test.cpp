// Settings that cannot be met, and inputs that do not fit, are refused with the reason.
#include "sparse/attend_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "unit/sparse/naive_attend.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

struct Refused {
  std::string method;
  OptionTexts texts;
  std::string expected;  // in the message
};

TEST(AttendSettings, RefusesWithTheReason) {
  const std::vector<Refused> cases = {
      {"sparse", {}, "--method: expected dense, bsa, vsa or vmoba, found 'sparse'"},
      {"dense",
       {{"--block", "4,4,4"}},
       "--block: an option of --method vsa bsa, found --method dense"},
      {"vsa", {{"--top-k", "1"}, {"--partition", "temporal:2"}}, "--partition"},
      {"bsa", {{"--mass-block", "4,4,4"}}, "--mass-block"},
      {"vsa", {}, "found neither"},
      {"vsa", {{"--top-k", "1"}, {"--sparsity", "0.5"}}, "found both"},
      {"vsa",
       {{"--top-k", "1"}, {"--rounding", "bf16"}},
       "--rounding: expected one of exact, fastvideo, found 'bf16'"},
      {"vsa", {{"--top-k", "0"}}, "--top-k: expected a whole number in 1..4, found '0'"},
      {"vsa", {{"--top-k", "5"}}, "found '5'"},
      {"vsa", {{"--sparsity", "1.5"}}, "--sparsity: expected a number from 0 to 1, found '1.5'"},
      {"vsa", {{"--sparsity", "nan"}}, "found 'nan'"},
      {"vsa", {{"--top-k", "1"}, {"--block", "4,4"}}, "--block: expected 3"},
      {"vmoba", {{"--top-k", "1"}}, "--partition: expected"},
      {"vmoba", {{"--partition", "spatial:4,2"}, {"--top-k", "1"}}, "the h axis has 6 tokens"},
      {"vmoba", {{"--partition", "temporal:2"}}, "--top-k: expected for --select topk"},
      {"vmoba", {{"--partition", "temporal:2"}, {"--top-k", "0"}}, "found '0'"},
      {"vmoba",
       {{"--partition", "temporal:2"}, {"--top-k", "1"}, {"--pool", "block"}},
       "found 'block'"},
      {"vmoba",
       {{"--partition", "temporal:2"}, {"--select", "threshold"}},
       "--threshold: expected"},
      {"vmoba", {{"--partition", "temporal:2"}, {"--select", "best"}}, "one of topk, threshold"},
      {"bsa", {{"--query-keep", "0"}}, "--query-keep: expected a fraction above 0"},
      {"bsa", {{"--kv-keep", "0"}}, "--kv-keep"},
      {"bsa", {{"--min-blocks", "0"}}, "--min-blocks"},
      {"bsa", {{"--centre", "4,0,0"}}, "--centre: expected a place inside a tile of 4,4,4"},
      {"bsa", {{"--kv-rule", "gauss"}}, "--kv-rule: expected one of gauss_logit"},
      {"bsa", {{"--restore", "none"}}, "--restore"}};
  for (const Refused& refused : cases) {
    EXPECT_THAT(error_of(ErrorKind::kUsage,
                         [&] {
                           parse_method_settings(refused.method, refused.texts, {4, 6, 8});
                         }),
                HasSubstr(refused.expected));
  }
}

TEST(AttendSettings, ACallRefusesWhatItsGridAndTensorsCannotMeet) {
  AttendProblem ragged = make_problem(1, 1, {4, 6, 8}, 0, 0, 8, true);
  const auto refusal = [&](ErrorKind kind, const std::string& method, const OptionTexts& texts) {
    return error_of(kind, [&] { run_attend(ragged, method, texts, Impl::kReference); });
  };
  EXPECT_THAT(refusal(ErrorKind::kUsage, "bsa", {{"--preset", "fastvideo"}}),
              HasSubstr("needs a grid of whole tiles"));
  EXPECT_THAT(refusal(ErrorKind::kUsage, "bsa",
                      {{"--preset", "fastvideo"}, {"--block", "2,2,2"}, {"--restore", "centre"}}),
              HasSubstr("centre"));
  ragged.prefix = 1;
  EXPECT_THAT(refusal(ErrorKind::kData, "dense", {}), HasSubstr("q: expected [B, H, 193,"));
  ragged.prefix = 0;

  ThreadPool pool(1);
  const auto call = [&](const AttendInputs& inputs) {
    attend(inputs, {.grid = ragged.grid, .method = DenseSettings{}, .backward = true},
           Impl::kReference, pool);
  };
  AttendInputs inputs = ragged.inputs();
  inputs.d_out.reset();
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { call(inputs); }), HasSubstr("d_out"));
  const std::pair<const char*, AttentionTensor*> others[] = {{"k", &inputs.k}, {"v", &inputs.v}};
  for (const auto& [name, tensor] : others) {
    tensor->head_dim = 7;
    EXPECT_THAT(error_of(ErrorKind::kData, [&] { call(inputs); }),
                HasSubstr(std::string(name) +
                          ": expected the shape of q, [1, 1, 192, 8], found [1, 1, 192, 7]"));
    tensor->head_dim = 8;
  }
  inputs.gate->heads = 2;
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { call(inputs); }), HasSubstr("gate: expected"));
  inputs = ragged.inputs();
  inputs.d_out->tokens = 191;
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { call(inputs); }), HasSubstr("d_out: expected"));
}

TEST(AttendSettings, CompatIsAFlagOfVmoba) {
  OptionTexts texts{{"--partition", "temporal:2"}, {"--top-k", "1"}};
  const auto compat = [&] {
    return std::get<VmobaOptions>(parse_method_settings("vmoba", texts, {4, 6, 8})).compat;
  };
  EXPECT_FALSE(compat());
  texts["--compat"] = "";
  EXPECT_TRUE(compat());
}

}  // namespace
}  // namespace sparsescope::testing
