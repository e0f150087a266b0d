// The cost of plans against sums over their sites, written out by hand.
#include "derive/plan_cost.h"

#include "support/expect_error.h"

namespace sparsescope {
namespace {

using ::testing::HasSubstr;

constexpr TransformerShape kShape{
    .layers = 2, .heads = 3, .head_dim = 64, .ffn_dim = 768, .text_rows = 16};
constexpr TokenGrid kGrid{5, 9, 10};  // 450 tokens, 2 x 3 x 3 ragged tiles
constexpr HeadShape kHead{.tokens = 450, .head_dim = 64};

// 4 steps x 2 layers x 3 heads; step 0 dense: 18 sites by the rules.
Plan base_plan(Method method, const MethodParams& params) {
  Plan plan;
  plan.model = {.family = "wan", .layers = 2, .heads = 3, .head_dim = 64, .checkpoint_hash = "ab"};
  plan.grid = kGrid;
  plan.num_steps = 4;
  plan.method = method;
  plan.dense_steps = {0};
  plan.rules = {{{0, 3}, {0, 1}, {0, 2}, params}};
  return plan;
}

void expect_equal(const AttentionCost& a, const AttentionCost& b) {
  EXPECT_DOUBLE_EQ(a.attention, b.attention);
  EXPECT_DOUBLE_EQ(a.selection_flops(), b.selection_flops());
  EXPECT_DOUBLE_EQ(a.total_bytes(), b.total_bytes());
}

TEST(PlanCost, DensePlan) {
  Plan plan = base_plan(Method::kDense, {});
  plan.rules.clear();
  const PlanCost cost = plan_cost(plan, kShape);
  const ForwardCost forward = forward_cost(kShape, kGrid);
  EXPECT_EQ(cost.sites, 24);
  EXPECT_EQ(cost.sparse_sites, 0);
  EXPECT_EQ(cost.density, 1);
  EXPECT_DOUBLE_EQ(cost.dense_flops(), 4 * forward.total_flops());
  EXPECT_DOUBLE_EQ(cost.planned_flops(), cost.dense_flops());
  EXPECT_DOUBLE_EQ(cost.speedup(), 1);
}

TEST(PlanCost, VsaByRuleAndOverride) {
  Plan plan = base_plan(Method::kVsa, VsaParams{.top_k = 9});
  plan.rules.push_back({{1, 2}, {1, 1}, {0, 0}, VsaParams{.top_k = 3}});  // 2 of the 18
  const PlanCost cost = plan_cost(plan, kShape);
  EXPECT_EQ(cost.sparse_sites, 18);
  EXPECT_DOUBLE_EQ(cost.density, (6 + 16 * 9 / 18.0 + 2 * 3 / 18.0) / 24);
  AttentionCost expected = 6.0 * dense_attention_cost(kHead);
  expected += 16.0 * vsa_attention_cost(kHead, 9 / 18.0, 18, 0);
  expected += 2.0 * vsa_attention_cost(kHead, 3 / 18.0, 18, 0);
  expect_equal(cost.planned, expected);
  expect_equal(cost.dense, 24.0 * dense_attention_cost(kHead));
  EXPECT_DOUBLE_EQ(cost.speedup(), (cost.rest_flops + cost.dense.attention) /
                                       (cost.rest_flops + expected.total_flops()));
}

TEST(PlanCost, CountsTheSitesThatRuleForFinds) {
  Plan plan = base_plan(Method::kVsa, VsaParams{.top_k = 9});
  plan.dense_layers = {1};
  // Overlapping, one inside another, and one that reaches beyond the model.
  plan.rules = {{{0, 2}, {0, 1}, {0, 1}, VsaParams{.top_k = 9}},
                {{1, 1}, {0, 0}, {1, 2}, VsaParams{.top_k = 6}},
                {{2, 9}, {0, 9}, {2, 9}, VsaParams{.top_k = 3}}};
  double kept = 0;
  int64_t sparse = 0;
  for (int64_t site = 0; site < 24; ++site) {
    const PlanRule* rule = plan.rule_for(site / 6, site / 3 % 2, site % 3);
    sparse += rule != nullptr;
    kept += rule == nullptr ? 1 : static_cast<double>(std::get<VsaParams>(rule->params).top_k) / 18;
  }
  const PlanCost cost = plan_cost(plan, kShape);
  EXPECT_EQ(cost.sparse_sites, sparse);
  EXPECT_DOUBLE_EQ(cost.density, kept / 24);
}

TEST(PlanCost, VsaOfAllTilesIsDearerThanDense) {
  const PlanCost cost = plan_cost(base_plan(Method::kVsa, VsaParams{.top_k = 18}), kShape);
  EXPECT_EQ(cost.density, 1);
  EXPECT_LT(cost.attention_speedup(), 1);
  EXPECT_EQ(cost.planned.attention, cost.dense.attention);
}

TEST(PlanCost, VmobaTopKOverItsBlocks) {
  // 5 single frames, 2 of them for every query; 9 x 10 places in 3 x 2 blocks, 1 of 15.
  const VmobaParams temporal{.partition = {PartitionKind::kTemporal, {1, 0, 0}}, .top_k = 2};
  const VmobaParams spatial{.partition = {PartitionKind::kSpatial, {0, 3, 2}}, .top_k = 1};
  Plan plan = base_plan(Method::kVmoba, temporal);
  plan.rules.push_back({{0, 3}, {1, 1}, {0, 2}, spatial});
  const PlanCost cost = plan_cost(plan, kShape);
  EXPECT_DOUBLE_EQ(cost.density, (6 + 9 * 2 / 5.0 + 9 * 1 / 15.0) / 24);
  AttentionCost expected = 6.0 * dense_attention_cost(kHead);
  expected += 9.0 * vmoba_attention_cost(kHead, 2 / 5.0, 5);
  expected += 9.0 * vmoba_attention_cost(kHead, 1 / 15.0, 15);
  expect_equal(cost.planned, expected);
}

TEST(PlanCost, ThresholdsTakeWhatTheStatedMeanLeavesThem) {
  const VmobaParams top_k{.partition = {PartitionKind::kTemporal, {1, 0, 0}}, .top_k = 1};
  VmobaParams threshold = top_k;
  threshold.select = VmobaSelect::kThreshold;
  Plan plan = base_plan(Method::kVmoba, top_k);
  plan.rules.push_back({{0, 3}, {1, 1}, {0, 2}, threshold});
  // 6 dense sites, 9 at a fifth, 9 that the mean leaves a third.
  plan.expected_density = Expected{.mean = (6 + 9 / 5.0 + 9 / 3.0) / 24};
  const PlanCost cost = plan_cost(plan, kShape);
  EXPECT_DOUBLE_EQ(cost.density, plan.expected_density->mean);
  AttentionCost expected = 6.0 * dense_attention_cost(kHead);
  expected += 9.0 * vmoba_attention_cost(kHead, 1 / 5.0, 5);
  expected += 9.0 * vmoba_attention_cost(kHead, 1 / 3.0, 5);
  expect_equal(cost.planned, expected);
  // A density given outright counts more than the plan's own.
  EXPECT_DOUBLE_EQ(plan_cost(plan, kShape, 0.5).density, 0.5);
}

TEST(PlanCost, BsaWithKeptQueries) {
  const Plan plan = base_plan(Method::kBsa, BsaParams{.query_keep = 0.5, .kv_keep = 0.2});
  const PlanCost cost = plan_cost(plan, kShape, (6 + 18 * 0.1) / 24);
  AttentionCost expected = 6.0 * dense_attention_cost(kHead);
  expected += 18.0 * bsa_attention_cost(kHead, 0.1, 18, 0.5);
  expect_equal(cost.planned, expected);
}

TEST(PlanCost, AGateAddsTheCoarseBranch) {
  TransformerShape gated = kShape;
  gated.vsa_gate = true;
  const Plan plan = base_plan(Method::kVsa, VsaParams{.top_k = 9});
  const double extra = plan_cost(plan, gated).planned.output;
  EXPECT_DOUBLE_EQ(extra, 18 * vsa_attention_cost(kHead, 0.5, 18, 192).output);
  EXPECT_EQ(plan_cost(plan, kShape).planned.output, 0);
}

TEST(PlanCost, Refuses) {
  const Plan plan = base_plan(Method::kBsa, BsaParams{});
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage, [&] { plan_cost(plan, kShape); }),
              HasSubstr("of 18 of 24 sites does not fix it), found none"));
  // 6 of 24 sites are dense.
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage, [&] { plan_cost(plan, kShape, 0.2); }),
              HasSubstr("a mean density from 0.25 to 1"));
  TransformerShape other = kShape;
  other.heads = 12;
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage, [&] { plan_cost(plan, other, 0.5); }),
              HasSubstr("expected a model of 2 layers, 3 heads"));
}

}  // namespace
}  // namespace sparsescope
