// inspect --video as programs read it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_program.h"
#include "core/json_io.h"

namespace sparsescope::testing {
namespace {

const std::string kTinyWan = std::string(SPARSESCOPE_DATA) + "/tiny-wan";

Json one_forward(const std::vector<std::string>& options) {
  std::vector<std::string> arguments{"inspect", kTinyWan, "--json"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const ProgramRun run = run_program(arguments);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return parse_json(run.out, "inspect").at("one_forward");
}

TEST(Inspect, VideoAndGridNameTheSameCost) {
  EXPECT_EQ(one_forward({"--video", "8,128,128"}), one_forward({"--grid", "8,16,16"}));
}

TEST(Inspect, PartsAddUp) {
  const Json cost = one_forward({"--grid", "8,16,16"});
  // 8 layers, 2048 tokens, 3 heads of 64.
  EXPECT_EQ(cost.at("tokens"), 2048);
  EXPECT_EQ(cost.at("attention_flops"), 4.0 * 8 * 2048 * 2048 * 192);
  const double attention = cost.at("attention_flops"), rest = cost.at("rest_flops");
  double sum = 0;
  for (const auto& [name, flops] : cost.at("parts").items()) sum += flops.get<double>();
  EXPECT_DOUBLE_EQ(sum, attention + rest);
  EXPECT_DOUBLE_EQ(cost.at("total_flops").get<double>(), sum);
  EXPECT_DOUBLE_EQ(cost.at("attention_share").get<double>(), attention / sum);
  EXPECT_DOUBLE_EQ(cost.at("speedup_limit").get<double>(), sum / rest);
  EXPECT_EQ(cost.at("bytes_qkv_per_layer"), 3 * 2048 * 192 * 2);
  EXPECT_EQ(cost.at("bytes_map_per_head"), 2048 * 2048 * 2);
}

TEST(Inspect, EveryMethodWithItsBounds) {
  const Json cost = one_forward({"--grid", "8,16,16"});
  const double dense = cost.at("attention_flops"), total = cost.at("total_flops");
  int sparse_rows = 0;
  for (const Json& row : cost.at("methods")) {
    const double density = row.at("density"), selection = row.at("selection_flops");
    const double attention = row.at("attention_flops");
    EXPECT_DOUBLE_EQ(attention, density * dense);
    EXPECT_DOUBLE_EQ(row.at("attention_speedup_bound").get<double>(),
                     dense / (attention + selection));
    EXPECT_DOUBLE_EQ(row.at("forward_speedup_bound").get<double>(),
                     total / row.at("forward_flops").get<double>());
    sparse_rows += row.at("method") != "dense";
  }
  // Single frames are an eighth, so that VMoBA has no sixteenth.
  EXPECT_EQ(sparse_rows, 4 + 4 + 3);
}

}  // namespace
}  // namespace sparsescope::testing
