#include "model/cost_methods.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace sparsescope {
namespace {

constexpr TransformerShape kWan1B{.layers = 30, .heads = 12, .head_dim = 128, .ffn_dim = 8960};
constexpr TokenGrid k33K{21, 30, 52};

TEST(CostMethods, EveryMethodAtEveryDensityAfterTheDenseRow) {
  const std::vector<MethodCost> rows = method_costs(kWan1B, k33K);
  ASSERT_EQ(rows.size(), 1u + 3 * 4);
  const ForwardCost forward = forward_cost(kWan1B, k33K);
  EXPECT_EQ(rows[0].method, "dense");
  EXPECT_DOUBLE_EQ(rows[0].attention.attention, forward.attention_flops);
  EXPECT_DOUBLE_EQ(rows[0].forward_flops, forward.total_flops());
  EXPECT_EQ(rows[0].forward_speedup, 1);
  std::set<std::string> methods;
  for (size_t i = 1; i < rows.size(); ++i) {
    const MethodCost& row = rows[i];
    methods.insert(row.method);
    // Selection costs something, but not much; Amdahl bounds the whole.
    EXPECT_LT(row.attention_speedup, 1 / row.density);
    EXPECT_GT(row.attention_speedup, 0.9 / row.density);
    EXPECT_LT(row.forward_speedup, row.attention_speedup);
    EXPECT_LT(row.forward_speedup, forward.speedup_limit());
    EXPECT_NEAR(row.forward_speedup,
                1 / (1 - forward.attention_share + forward.attention_share / row.attention_speedup),
                1e-12);
  }
  EXPECT_EQ(methods, (std::set<std::string>{"bsa", "vmoba", "vsa"}));
}

TEST(CostMethods, TilesAndPartitionsOfTheGrid) {
  // Four frames are 6 blocks, two are 11, one is 21: at least 1 / density are needed.
  const std::map<double, std::string> temporal{
      {0.5, "temporal:4 "}, {0.25, "temporal:4 "}, {0.125, "temporal:2 "}, {0.0625, "temporal:1 "}};
  for (const MethodCost& row : method_costs(kWan1B, k33K)) {
    if (row.method == "vsa" || row.method == "bsa") {
      EXPECT_EQ(row.blocks, 6 * 8 * 13);
    } else if (row.method == "vmoba") {
      EXPECT_EQ(row.partitions.find(temporal.at(row.density)), 0u) << row.partitions;
      EXPECT_GE(row.blocks, 1 / row.density);
    }
  }
}

TEST(CostMethods, AGateAddsToVsaAlone) {
  TransformerShape gated = kWan1B;
  gated.vsa_gate = true;
  const auto without = method_costs(kWan1B, k33K);
  const auto with = method_costs(gated, k33K);
  for (size_t i = 0; i < with.size(); ++i) {
    EXPECT_EQ(with[i].forward_flops > without[i].forward_flops, with[i].method == "vsa");
  }
}

TEST(CostMethods, DensitiesBelowOneBlockARowAreLeftOut) {
  std::vector<std::string> kept;
  for (const MethodCost& row : method_costs(kWan1B, {8, 4, 4}, {0.5, 0.25, 0.125})) {
    kept.push_back(fmt::format("{} {}", row.method, row.density));
  }
  // 2 tiles, of which BSA computes half of the queries; VMoBA's cuts have 8 (single frames), 2 and
  // 2 blocks, so that own blocks alone are 3/8 of the pairs.
  EXPECT_EQ(kept,
            (std::vector<std::string>{"dense 1", "vsa 0.5", "bsa 0.5", "bsa 0.25", "vmoba 0.5"}));
}

}  // namespace
}  // namespace sparsescope
