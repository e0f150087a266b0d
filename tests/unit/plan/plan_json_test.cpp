// The plan file: round trips, and every way in which a file can fail to fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "plan/plan.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

using ::testing::HasSubstr;

Plan base_plan(Method method, const MethodParams& params) {
  Plan plan;
  plan.model = {.family = "wan", .layers = 8, .heads = 3, .head_dim = 64, .checkpoint_hash = "ab"};
  plan.grid = {8, 16, 16};
  plan.tile = {4, 4, 4};
  plan.num_steps = 20;
  plan.method = method;
  plan.dense_steps = {0, 1};
  plan.dense_layers = {7};
  plan.rules = {{{0, 19}, {0, 7}, {0, 2}, params}, {{5, 9}, {2, 3}, {1, 1}, params}};
  plan.expected_density = Expected{0.25, 0.2, 0.3, 0.9};
  plan.expected_recall = Expected{0.9, 0.85, 1.0, 0.9};
  plan.expected_speedup = Expected{2.5, 2.0, 3.0, 0.9};
  plan.evidence = {{"profile", {{"sha256", "cd"}}}};
  return plan;
}

const VmobaParams kTopK{.partition = {PartitionKind::kSpatial, {0, 4, 4}}, .top_k = 5};
const VmobaParams kThreshold{.partition = {PartitionKind::kTemporal, {3, 0, 0}},
                             .select = VmobaSelect::kThreshold,
                             .top_k = 1,
                             .threshold = 0.35,
                             .pool = VmobaPool::kBlock};

void expect_same(const Plan& a, const Plan& b) {
  EXPECT_EQ(a.model.family, b.model.family);
  EXPECT_EQ(a.model.layers, b.model.layers);
  EXPECT_EQ(a.model.heads, b.model.heads);
  EXPECT_EQ(a.model.head_dim, b.model.head_dim);
  EXPECT_EQ(a.model.checkpoint_hash, b.model.checkpoint_hash);
  EXPECT_EQ(a.grid, b.grid);
  EXPECT_EQ(a.tile, b.tile);
  EXPECT_EQ(a.num_steps, b.num_steps);
  EXPECT_EQ(a.method, b.method);
  EXPECT_EQ(a.dense_steps, b.dense_steps);
  EXPECT_EQ(a.dense_layers, b.dense_layers);
  ASSERT_EQ(a.rules.size(), b.rules.size());
  for (size_t i = 0; i < a.rules.size(); ++i) {
    EXPECT_EQ(a.rules[i].steps, b.rules[i].steps);
    EXPECT_EQ(a.rules[i].layers, b.rules[i].layers);
    EXPECT_EQ(a.rules[i].heads, b.rules[i].heads);
    EXPECT_EQ(a.rules[i].params, b.rules[i].params);
  }
  ASSERT_EQ(a.expected_speedup.has_value(), b.expected_speedup.has_value());
  EXPECT_EQ(a.expected_speedup->mean, b.expected_speedup->mean);
  ASSERT_EQ(a.expected_density.has_value(), b.expected_density.has_value());
  EXPECT_EQ(a.expected_density->mean, b.expected_density->mean);
  EXPECT_EQ(a.expected_density->low, b.expected_density->low);
  EXPECT_EQ(a.expected_density->high, b.expected_density->high);
  EXPECT_EQ(a.expected_density->confidence, b.expected_density->confidence);
  EXPECT_EQ(a.expected_error.has_value(), b.expected_error.has_value());
  EXPECT_EQ(a.evidence, b.evidence);
}

TEST(PlanJson, RoundTripOfEveryMethod) {
  const Plan plans[] = {
      base_plan(Method::kVsa, VsaParams{.top_k = 7}),
      base_plan(Method::kVsa, VsaParams{.top_k = 7, .choice = TileChoice::kRandom}),
      base_plan(Method::kVsa, VsaParams{.top_k = 7, .choice = TileChoice::kOracle}),
      base_plan(Method::kBsa, BsaParams{.query_keep = 0.625, .window = {2, 2, 2}, .kv_keep = 0.1}),
      base_plan(Method::kBsa, BsaParams{.window = {0, 0, 0}, .min_blocks = 1}),
      base_plan(Method::kVmoba, kTopK),
      base_plan(Method::kVmoba, kThreshold)};
  for (const Plan& plan : plans) {
    const std::string text = plan_to_json(plan).dump(2);
    expect_same(plan_from_json(parse_json(text, "test"), "test"), plan);
  }
}

TEST(PlanJson, PooledTilesNeedNoWord) {
  Json json = plan_to_json(base_plan(Method::kVsa, VsaParams{.top_k = 7}));
  EXPECT_FALSE(json.at("rules").at(0).contains("choice"));
  json["rules"][0]["choice"] = "pooled";
  EXPECT_EQ(plan_from_json(json, "p").rules[0].params, MethodParams(VsaParams{.top_k = 7}));
  json["rules"][0]["choice"] = "row_oracle";
  EXPECT_EQ(plan_from_json(json, "p").rules[0].params,
            MethodParams(VsaParams{.top_k = 7, .choice = TileChoice::kOracle}));
}

TEST(PlanJson, TwoExpertsMeetAtAStepOfThePlan) {
  Plan plan = base_plan(Method::kVsa, VsaParams{.top_k = 7});
  EXPECT_FALSE(plan_to_json(plan).at("model").contains("low_noise_from_step"));
  for (const int64_t step : {int64_t{0}, int64_t{3}, plan.num_steps}) {
    plan.model.low_noise_from_step = step;
    EXPECT_EQ(plan_from_json(plan_to_json(plan), "p").model.low_noise_from_step, step);
  }
  plan.model.low_noise_from_step = plan.num_steps + 1;
  EXPECT_THAT(testing::error_of(ErrorKind::kData, [&] { plan_from_json(plan_to_json(plan), "p"); }),
              HasSubstr("/model/low_noise_from_step"));
}

TEST(PlanJson, LaterRulesOverride) {
  Plan plan = base_plan(Method::kVsa, VsaParams{.top_k = 7});
  plan.rules[1].params = VsaParams{.top_k = 3};
  EXPECT_EQ(plan.rule_for(5, 2, 1), &plan.rules[1]);
  EXPECT_EQ(plan.rule_for(9, 3, 1), &plan.rules[1]);
  EXPECT_EQ(plan.rule_for(10, 3, 1), &plan.rules[0]);
  EXPECT_EQ(plan.rule_for(5, 2, 0), &plan.rules[0]);
  EXPECT_EQ(plan.rule_for(1, 2, 0), nullptr);  // dense step
  EXPECT_EQ(plan.rule_for(5, 7, 0), nullptr);  // dense layer
  plan.rules.erase(plan.rules.begin());
  EXPECT_EQ(plan.rule_for(4, 2, 1), nullptr);  // no rule
}

TEST(PlanJson, EvidenceIsReadWithThePlan) {
  Json json = plan_to_json(base_plan(Method::kVsa, VsaParams{.top_k = 7}));
  json["evidence"]["sampling"] = {{"steps", 20}};
  EXPECT_THAT(testing::error_of(ErrorKind::kData, [&] { plan_from_json(json, "p"); }),
              HasSubstr("/evidence/sampling"));
}

struct Rejection {
  const char* name;
  MethodParams params;
  std::function<void(Json&)> damage;
  const char* place;  // in the message
  ErrorKind kind = ErrorKind::kData;
};

const VsaParams kVsa{.top_k = 7};
const BsaParams kBsa{};

const Rejection kRejections[] = {
    {"NotAnObject", kVsa, [](Json& j) { j = Json::array(); }, "the document"},
    {"Format", kVsa, [](Json& j) { j["format"] = "x"; }, "/format"},
    {"NoFormat", kVsa, [](Json& j) { j.erase("format"); }, "format"},
    {"Version", kVsa, [](Json& j) { j["version"] = 2; }, "version 2", ErrorKind::kUnsupported},
    {"Method", kVsa, [](Json& j) { j["method"] = "x"; }, "/method", ErrorKind::kUnsupported},
    {"MethodType", kVsa, [](Json& j) { j["method"] = 3; }, "/method"},
    {"UnknownKey", kVsa, [](Json& j) { j["extra"] = 1; }, "/extra"},
    {"MissingKey", kVsa, [](Json& j) { j.erase("dense"); }, "dense"},
    {"ModelKey", kVsa, [](Json& j) { j["model"]["extra"] = 1; }, "/model/extra"},
    {"ModelLayers", kVsa, [](Json& j) { j["model"]["layers"] = 0; }, "/model/layers"},
    {"ModelHeadsText", kVsa, [](Json& j) { j["model"]["heads"] = "3"; }, "/model/heads"},
    {"Steps", kVsa, [](Json& j) { j["steps"] = 0; }, "/steps"},
    {"StepsFraction", kVsa, [](Json& j) { j["steps"] = 20.0; }, "/steps"},
    {"GridShort", kVsa,
     [](Json& j) {
       j["grid"] = {8, 16};
     },
     "/grid"},
    {"GridZero", kVsa, [](Json& j) { j["grid"][1] = 0; }, "/grid/1"},
    {"Tile", kVsa, [](Json& j) { j["tile"][2] = -4; }, "/tile/2"},
    {"DenseStep", kVsa, [](Json& j) { j["dense"]["steps"] = {20}; }, "/dense/steps/0"},
    {"DenseTwice", kVsa,
     [](Json& j) {
       j["dense"]["steps"] = {1, 1};
     },
     "/dense/steps/1"},
    {"DenseLayer", kVsa, [](Json& j) { j["dense"]["layers"] = {-1}; }, "/dense/layers/0"},
    {"DenseBeyond", kVsa,
     [](Json& j) {
       j["dense"]["layers"] = {7, 7};
     },
     "/dense/layers/1"},
    {"DenseKey", kVsa, [](Json& j) { j["dense"]["heads"] = {1}; }, "/dense/heads"},
    {"RuleSteps", kVsa,
     [](Json& j) {
       j["rules"][0]["steps"] = {0, 20};
     },
     "/rules/0/steps/1"},
    {"RuleBack", kVsa,
     [](Json& j) {
       j["rules"][1]["layers"] = {3, 2};
     },
     "/rules/1/layers/1"},
    {"RuleHeads", kVsa,
     [](Json& j) {
       j["rules"][0]["heads"] = {0, 3};
     },
     "/rules/0/heads/1"},
    {"RuleKey", kVsa, [](Json& j) { j["rules"][0]["kappa"] = 1; }, "/rules/0/kappa"},
    {"RuleOfOther", kVsa, [](Json& j) { j["method"] = "bsa"; }, "/rules/0"},
    {"DenseMethod", kVsa, [](Json& j) { j["method"] = "dense"; }, "/rules/0"},
    {"TopKZero", kVsa, [](Json& j) { j["rules"][0]["top_k"] = 0; }, "/rules/0/top_k"},
    {"TopKMany", kVsa, [](Json& j) { j["rules"][0]["top_k"] = 33; }, "/rules/0/top_k"},
    {"TopKFraction", kVsa, [](Json& j) { j["rules"][0]["top_k"] = 1.5; }, "/rules/0/top_k"},
    {"TopKHuge", kVsa, [](Json& j) { j["rules"][0]["top_k"] = UINT64_MAX; }, "/rules/0/top_k"},
    {"Choice", kVsa, [](Json& j) { j["rules"][0]["choice"] = "best"; }, "/rules/0/choice"},
    {"ChoiceType", kVsa, [](Json& j) { j["rules"][0]["choice"] = 1; }, "/rules/0/choice"},
    {"ChoiceOfOther", kTopK, [](Json& j) { j["rules"][0]["choice"] = "random"; },
     "/rules/0/choice"},
    {"QueryKeep", kBsa, [](Json& j) { j["rules"][0]["query_keep"] = 0; }, "/rules/0/query_keep"},
    {"QueryKeepBig", kBsa, [](Json& j) { j["rules"][0]["query_keep"] = 1.1; }, "query_keep"},
    {"KvKeep", kBsa, [](Json& j) { j["rules"][0]["kv_keep"] = -0.1; }, "/rules/0/kv_keep"},
    {"KvKeepZero", kBsa, [](Json& j) { j["rules"][0]["kv_keep"] = 0.0; }, "/rules/0/kv_keep"},
    {"MinBlocks", kBsa, [](Json& j) { j["rules"][0]["min_blocks"] = 0; }, "/rules/0/min_blocks"},
    {"Window", kBsa,
     [](Json& j) {
       j["rules"][0]["window"] = {8, 2, 2};
     },
     "/rules/0/window"},
    {"WindowText", kBsa, [](Json& j) { j["rules"][0]["window"] = "all"; }, "/rules/0/window"},
    {"Partition", kTopK, [](Json& j) { j["rules"][0]["partition"] = "spatial:3,4"; },
     "/rules/0/partition"},
    {"PartitionText", kTopK, [](Json& j) { j["rules"][0]["partition"] = "cube:3"; },
     "/rules/0/partition"},
    {"Blocks", kTopK, [](Json& j) { j["rules"][0]["top_k"] = 17; }, "/rules/0/top_k"},
    {"Select", kTopK, [](Json& j) { j["rules"][0]["select"] = "best"; }, "/rules/0/select"},
    {"TopKInBlockPool", kTopK, [](Json& j) { j["rules"][0]["pool"] = "block"; }, "/rules/0/pool"},
    {"Pool", kTopK, [](Json& j) { j["rules"][0]["pool"] = "row"; }, "/rules/0/pool"},
    {"TauOfTopK", kTopK, [](Json& j) { j["rules"][0]["threshold"] = 0.5; }, "/rules/0/threshold"},
    {"Tau", kThreshold, [](Json& j) { j["rules"][0]["threshold"] = 1.5; }, "/rules/0/threshold"},
    {"ExpectedRange", kVsa, [](Json& j) { j["expected"]["recall"]["mean"] = 1.2; },
     "/expected/recall/mean"},
    {"ExpectedOrder", kVsa, [](Json& j) { j["expected"]["recall"]["low"] = 0.95; },
     "/expected/recall/low"},
    {"ExpectedName", kVsa, [](Json& j) { j["expected"]["speed"] = 1; }, "/expected/speed"},
    {"Evidence", kVsa, [](Json& j) { j["evidence"] = "trust me"; }, "/evidence"},
};

Method method_of(const MethodParams& params) {
  if (std::holds_alternative<VsaParams>(params)) return Method::kVsa;
  return std::holds_alternative<BsaParams>(params) ? Method::kBsa : Method::kVmoba;
}

class PlanRejection : public ::testing::TestWithParam<Rejection> {};

TEST_P(PlanRejection, NamesThePlace) {
  const Rejection& rejection = GetParam();
  Json json = plan_to_json(base_plan(method_of(rejection.params), rejection.params));
  ASSERT_NO_THROW(plan_from_json(json, "plan.json"));
  rejection.damage(json);
  try {
    plan_from_json(json, "plan.json");
    FAIL() << "accepted " << json.dump(2);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), rejection.kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(rejection.place));
    EXPECT_THAT(error.what(), HasSubstr("plan.json"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlanRejection, ::testing::ValuesIn(kRejections),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sparsescope
