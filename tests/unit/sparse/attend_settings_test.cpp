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
      {"vmoba", {{"--partition", "frames:2"}, {"--top-k", "1"}}, "frames:2"},
      {"vmoba", {{"--partition", "temporal:2"}, {"--top-k", "two"}}, "found 'two'"},
      {"vmoba",
       {{"--partition", "temporal:2"}, {"--top-k", "1"}, {"--pool", "head"}},
       "--pool: expected one of query_head, head_global, block, overall, found 'head'"},
      {"vmoba",
       {{"--partition", "temporal:2"}, {"--select", "threshold"}, {"--threshold", "1.1"}},
       "--threshold: expected a number from 0 to 1, found '1.1'"},
      {"vsa", {{"--top-k", "1"}, {"--compat", ""}}, "--compat: an option of --method vmoba"},
      {"dense", {{"--mass-block", "4,0,4"}}, "--mass-block: expected 3 positive numbers"},
      {"bsa", {{"--block", "4,4,x"}}, "--block: expected 3 positive numbers"},
      {"bsa", {{"--preset", "paper"}}, "--preset: expected one of default, fastvideo"},
      {"bsa", {{"--query-window", "2,2"}}, "--query-window: expected 3"},
      {"bsa", {{"--query-keep", "0"}}, "--query-keep: expected a fraction above 0"},
      {"bsa", {{"--query-keep", "1.5"}}, "--query-keep: expected a number from 0 to 1"},
      {"bsa", {{"--kv-keep", "0"}}, "--kv-keep: expected a fraction above 0, found '0'"},
      {"bsa", {{"--kv-keep", "-0.1"}}, "--kv-keep: expected a number from 0 to 1"},
      {"bsa", {{"--kv-mass", "0"}}, "--kv-mass: expected a fraction above 0, found '0'"},
      {"bsa", {{"--kv-mass", "2"}}, "--kv-mass: expected a number from 0 to 1, found '2'"},
      {"bsa", {{"--min-blocks", "0"}}, "--min-blocks: expected a whole number"},
      {"bsa", {{"--centre", "4,0,0"}}, "--centre: expected a place inside a tile of 4,4,4"},
      {"bsa", {{"--centre", "2,2,2,2"}}, "--centre: expected 3 numbers from 0"},
      {"bsa",
       {{"--centre", "middle"}},
       "--centre: expected one of T,H,W, auto, window_first, window_last, found 'middle'"},
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

BsaSettings bsa(const OptionTexts& texts) {
  return std::get<BsaSettings>(parse_method_settings("bsa", texts, {4, 8, 8}));
}

TEST(AttendSettings, DefaultsOfBsa) {
  const BsaSettings settings = bsa({});
  EXPECT_EQ(settings.block, (TileShape{4, 4, 4}));
  const BsaQueryOptions& query = settings.options.query;
  EXPECT_EQ(query.keep, 0.5);
  EXPECT_EQ(query.window, (TileShape{2, 2, 2}));
  EXPECT_EQ(query.reference, BsaReference::kCentre);
  EXPECT_FALSE(query.centre.has_value());
  EXPECT_TRUE(query.keep_reference);
  const BsaKvOptions& kv = settings.options.kv;
  EXPECT_EQ(kv.rule, BsaKvRule::kGaussLogit);
  EXPECT_EQ(kv.keep, 0.1);
  EXPECT_EQ(kv.mass, 0.9);
  EXPECT_EQ(kv.min_blocks, 4);
  EXPECT_EQ(settings.options.restore, BsaRestore::kSimilar);
  EXPECT_FALSE(settings.options.full_tiles_only);
}

TEST(AttendSettings, EveryOptionOfBsaIsRead) {
  const BsaSettings settings = bsa({{"--block", "2,4,8"},
                                    {"--query-keep", "0.25"},
                                    {"--query-window", "1,2,4"},
                                    {"--centre", "1,0,7"},
                                    {"--kv-keep", "0.2"},
                                    {"--kv-mass", "0.8"},
                                    {"--min-blocks", "3"}});
  EXPECT_EQ(settings.block, (TileShape{2, 4, 8}));
  EXPECT_EQ(settings.options.query.keep, 0.25);
  EXPECT_EQ(settings.options.query.window, (TileShape{1, 2, 4}));
  EXPECT_EQ(settings.options.query.centre, (TileShape{1, 0, 7}));
  EXPECT_EQ(settings.options.kv.keep, 0.2);
  EXPECT_EQ(settings.options.kv.mass, 0.8);
  EXPECT_EQ(settings.options.kv.min_blocks, 3);
  EXPECT_EQ(bsa({{"--query-window", "none"}}).options.query.window, (TileShape{0, 0, 0}));
  const std::pair<const char*, BsaKvRule> rules[] = {
      {"gauss_logit", BsaKvRule::kGaussLogit},
      {"gauss_prob", BsaKvRule::kGaussProb},
      {"gauss_logit_head", BsaKvRule::kGaussLogitHead},
      {"cdf", BsaKvRule::kCdf},
      {"topk", BsaKvRule::kTopK}};
  for (const auto& [text, rule] : rules) {
    EXPECT_EQ(bsa({{"--kv-rule", text}}).options.kv.rule, rule) << text;
  }
  const std::pair<const char*, BsaRestore> restores[] = {{"similar", BsaRestore::kSimilar},
                                                         {"centre", BsaRestore::kCentre},
                                                         {"nearest", BsaRestore::kNearest},
                                                         {"zero", BsaRestore::kZero}};
  for (const auto& [text, restore] : restores) {
    EXPECT_EQ(bsa({{"--restore", text}}).options.restore, restore) << text;
  }
}

TEST(AttendSettings, OptionsOverrideThePreset) {
  EXPECT_TRUE(bsa({{"--preset", "fastvideo"}}).options.full_tiles_only);
  const BsaOptions options = bsa({{"--preset", "fastvideo"},
                                  {"--query-window", "2,2,2"},
                                  {"--centre", "auto"},
                                  {"--kv-rule", "topk"},
                                  {"--restore", "zero"}})
                                 .options;
  EXPECT_EQ(options.query.window, (TileShape{2, 2, 2}));
  EXPECT_FALSE(options.query.centre.has_value());
  EXPECT_FALSE(options.query.keep_reference);
  EXPECT_TRUE(options.query.round_down);
  EXPECT_EQ(options.kv.rule, BsaKvRule::kTopK);
  EXPECT_EQ(options.restore, BsaRestore::kZero);
  const BsaOptions windows = bsa({{"--preset", "fastvideo"}, {"--centre", "window_last"}}).options;
  EXPECT_EQ(windows.query.reference, BsaReference::kWindowLast);
  EXPECT_TRUE(windows.query.keep_reference);  // a window's reference is always kept
}

TEST(AttendSettings, OptionsOfTheOtherMethods) {
  const auto vsa = [](const OptionTexts& texts) {
    return std::get<VsaSettings>(parse_method_settings("vsa", texts, {4, 8, 8}));
  };
  EXPECT_EQ(vsa({{"--sparsity", "0.5"}}).top_k, 2);
  EXPECT_EQ(vsa({{"--sparsity", "1"}}).top_k, 1);
  EXPECT_EQ(vsa({{"--top-k", "3"}}).rounding, VsaRounding::kExact);
  EXPECT_EQ(vsa({{"--top-k", "3"}, {"--rounding", "fastvideo"}}).rounding, VsaRounding::kFastVideo);
  EXPECT_EQ(vsa({{"--block", "1,2,8"}, {"--top-k", "16"}}).block, (TileShape{1, 2, 8}));

  const auto vmoba = [](OptionTexts texts) {
    texts.emplace("--partition", "st:2,4,2");
    return std::get<VmobaOptions>(parse_method_settings("vmoba", texts, {4, 8, 8})).params;
  };
  EXPECT_EQ(vmoba({{"--top-k", "5"}}).select, VmobaSelect::kTopK);
  EXPECT_EQ(vmoba({{"--top-k", "5"}}).top_k, 5);
  EXPECT_EQ(vmoba({{"--top-k", "5"}}).pool, VmobaPool::kQueryHead);
  EXPECT_EQ(vmoba({{"--top-k", "1"}}).partition, parse_partition("st:2,4,2"));
  const std::pair<const char*, VmobaPool> pools[] = {{"query_head", VmobaPool::kQueryHead},
                                                     {"head_global", VmobaPool::kHeadGlobal},
                                                     {"block", VmobaPool::kBlock},
                                                     {"overall", VmobaPool::kOverall}};
  for (const auto& [text, pool] : pools) {
    const VmobaParams params =
        vmoba({{"--select", "threshold"}, {"--threshold", "0.3"}, {"--pool", text}});
    EXPECT_EQ(params.select, VmobaSelect::kThreshold);
    EXPECT_EQ(params.threshold, 0.3);
    EXPECT_EQ(params.pool, pool) << text;
  }

  const auto dense = [](const OptionTexts& texts) {
    return std::get<DenseSettings>(parse_method_settings("dense", texts, {4, 8, 8})).mass_block;
  };
  EXPECT_FALSE(dense({}).has_value());
  EXPECT_EQ(dense({{"--mass-block", "1,2,3"}}), (TileShape{1, 2, 3}));
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
