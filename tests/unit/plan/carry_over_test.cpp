// Shares stay shares on another grid and in another number of steps.
#include "plan/carry_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;

Plan plan_of(Method method, std::vector<PlanRule> rules) {
  Plan plan;
  plan.model = {"wan", 2, 2, 64, "abc"};
  plan.grid = {4, 8, 8};  // 4 tiles
  plan.tile = {4, 4, 4};
  plan.num_steps = 4;
  plan.method = method;
  plan.rules = std::move(rules);
  plan.expected_density = plan.expected_recall = Expected{0.5, 0.4, 0.6, 0.95};
  plan.evidence = {{"note", "kept"}};
  return plan;
}

const IndexRange kLayers{0, 1}, kHeads{0, 1};

int64_t top_k(const Plan& plan, int64_t step) {
  return std::get<VsaParams>(plan.rule_for(step, 0, 0)->params).top_k;
}

TEST(CarryOver, TilesKeepTheirShare) {
  const Plan plan = plan_of(Method::kVsa, {{{0, 1}, kLayers, kHeads, VsaParams{1}},
                                           {{2, 3}, kLayers, kHeads, VsaParams{3}}});
  const Plan carried = carry_over(plan, {8, 16, 12}, 4);  // 24 tiles
  EXPECT_EQ(top_k(carried, 0), 6);
  EXPECT_EQ(top_k(carried, 3), 18);
  EXPECT_EQ(carried.grid, (TokenGrid{8, 16, 12}));
  EXPECT_FALSE(carried.expected_recall);
  EXPECT_EQ(carried.evidence.at("note"), "kept");
  EXPECT_EQ(carried.evidence.at("carried_over").at("expected").at("density").at("mean"), 0.5);
  // to fewer tiles: never none
  EXPECT_EQ(top_k(carry_over(carried, {4, 4, 4}, 4), 0), 1);
}

TEST(CarryOver, StepsAtTheSamePartOfTheRun) {
  Plan plan = plan_of(Method::kVsa, {{{0, 0}, kLayers, kHeads, VsaParams{1}},
                                     {{1, 1}, kLayers, kHeads, VsaParams{2}},
                                     {{2, 3}, kLayers, kHeads, VsaParams{3}}});
  plan.dense_steps = {3};
  const auto counts = [&](int64_t steps) {
    const Plan carried = carry_over(plan, plan.grid, steps);
    std::vector<int64_t> found;
    for (int64_t step = 0; step < steps; ++step) {
      found.push_back(carried.rule_for(step, 0, 0) ? top_k(carried, step) : 0);
    }
    return found;
  };
  EXPECT_THAT(counts(4), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(counts(8), ElementsAre(1, 1, 2, 2, 3, 3, 0, 0));
  EXPECT_THAT(counts(2), ElementsAre(2, 0));              // the middles of the halves: 1 and 3
  EXPECT_THAT(counts(6), ElementsAre(1, 2, 2, 3, 0, 0));  // 0.33, 1, 1.67, 2.33, 3, 3.67
}

TEST(CarryOver, EachExpertKeepsItsSettings) {
  Plan plan = plan_of(Method::kVsa, {{{0, 0}, kLayers, kHeads, VsaParams{1}},
                                     {{1, 2}, kLayers, kHeads, VsaParams{2}},
                                     {{3, 3}, kLayers, kHeads, VsaParams{3}}});
  plan.model.low_noise_from_step = 3;
  const auto counts = [&](int64_t steps, std::optional<int64_t> boundary) {
    const Plan carried = carry_over(plan, plan.grid, steps, boundary);
    std::vector<int64_t> found = {*carried.model.low_noise_from_step};
    for (int64_t step = 0; step < steps; ++step) found.push_back(top_k(carried, step));
    return found;
  };
  EXPECT_THAT(counts(4, {}), ElementsAre(3, 1, 2, 2, 3));
  EXPECT_THAT(counts(8, {}), ElementsAre(6, 1, 1, 2, 2, 2, 2, 3, 3));
  EXPECT_THAT(counts(4, 1), ElementsAre(1, 2, 3, 3, 3));  // the middle of the high-noise steps
  EXPECT_THAT(counts(3, 3), ElementsAre(3, 1, 2, 2));
  EXPECT_THAT(counts(2, 0), ElementsAre(0, 3, 3));
  testing::error_of(ErrorKind::kUsage, [&] { carry_over(plan, plan.grid, 4, 5); });
}

TEST(CarryOver, TheSameGridAndStepsKeepEverySetting) {
  const Plan plan = plan_of(
      Method::kVmoba,
      {{{0, 3}, {0, 0}, kHeads, VmobaParams{parse_partition("st:2,4,4"), VmobaSelect::kTopK, 3}},
       {{0, 3}, {1, 1}, kHeads, VmobaParams{parse_partition("temporal:3")}}});
  const Plan carried = carry_over(plan, plan.grid, plan.num_steps);
  ASSERT_EQ(carried.rules.size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(carried.rules[i].params, plan.rules[i].params);
}

TEST(CarryOver, PartitionsKeepTheirBlocksAlongEachAxis) {
  const TokenGrid from{4, 8, 8}, to{21, 30, 52};
  const auto carried = [&](const char* partition) {
    return to_string(carry_over(parse_partition(partition), from, to));
  };
  EXPECT_EQ(carried("temporal:2"), "temporal:11");     // 2 blocks; a short one may end the axis
  EXPECT_EQ(carried("spatial:4,2"), "spatial:15,13");  // 2 x 4
  // 21 = 3 x 7: 3 blocks are nearer to 4 than 7; 30 into 2, 52 into 2
  EXPECT_EQ(carried("st:1,4,4"), "st:7,15,26");
}

TEST(CarryOver, BlocksKeepTheirShare) {
  const Plan plan = plan_of(Method::kVmoba,
                            {{{0, 3},
                              kLayers,
                              kHeads,
                              VmobaParams{parse_partition("spatial:4,4"), VmobaSelect::kTopK, 3}}});
  const Plan carried = carry_over(plan, {4, 9, 8}, 4);  // 3 x 2 blocks: 9 into 3 is nearest to 2
  const auto& params = std::get<VmobaParams>(carried.rules.front().params);
  EXPECT_EQ(to_string(params.partition), "spatial:3,4");
  EXPECT_EQ(params.top_k, 5);  // 3/4 of 6, the nearest count
}

TEST(CarryOver, NoStepsAreRefused) {
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage,
                                [] {
                                  carry_over(plan_of(Method::kVsa, {}), {4, 8, 8}, 0);
                                }),
              ::testing::HasSubstr("steps"));
}

}  // namespace
}  // namespace sparsescope
