// The public VMoBA files: the two shipped with FastVideo, and what must be refused.
#include "export/vmoba_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/vmoba_cycle.h"
#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

const char* const kWan448 = R"({
  "temporal_chunk_size": 2, "temporal_topk": 2, "spatial_chunk_size": [4, 13], "spatial_topk": 6,
  "st_chunk_size": [4, 4, 13], "st_topk": 18, "moba_select_mode": "topk", "moba_threshold": 0.25,
  "moba_threshold_type": "query_head", "first_full_layer": 0, "first_full_step": 12,
  "temporal_layer": 1, "spatial_layer": 1, "st_layer": 1})";
const char* const kWan480 = R"({
  "temporal_chunk_size": 2, "temporal_topk": 3, "spatial_chunk_size": [3, 4], "spatial_topk": 20,
  "st_chunk_size": [4, 6, 4], "st_topk": 15, "moba_select_mode": "threshold",
  "moba_threshold": 0.25, "moba_threshold_type": "query_head", "first_full_layer": 0,
  "first_full_step": 12, "temporal_layer": 1, "spatial_layer": 1, "st_layer": 1})";

Json parsed(const char* text) { return parse_json(text, "file"); }

TEST(VmobaConfig, ShippedFilesReEmitTheirValues) {
  for (const char* text : {kWan448, kWan480}) {
    EXPECT_EQ(vmoba_config_to_json(parse_vmoba_config(parsed(text), "file")).dump(),
              parsed(text).dump());
  }
}

TEST(VmobaConfig, ShippedTopKFileHasThePublishedBlocksAndDensities) {
  const TokenGrid grid{20, 28, 52};  // 77 frames of 448x832
  const VmobaConfig config = parse_vmoba_config(parsed(kWan448), "file");
  const struct {
    int64_t blocks, tokens;
    double density;
  } expected[] = {{10, 2912, 0.20}, {28, 1040, 6.0 / 28}, {140, 208, 18.0 / 140}};
  for (int64_t layer = 0; layer < 6; ++layer) {
    const VmobaParams params = config.params(layer, grid);
    const TileGrid blocks = partition_blocks(params.partition, grid);
    EXPECT_EQ(blocks.num_tiles(), expected[layer % 3].blocks);
    EXPECT_EQ(blocks.size(0), expected[layer % 3].tokens);
    EXPECT_DOUBLE_EQ(static_cast<double>(params.top_k) / static_cast<double>(blocks.num_tiles()),
                     expected[layer % 3].density);
  }
}

TEST(VmobaConfig, ShippedThresholdFileHasThePublishedBlocks) {
  const TokenGrid grid{20, 30, 52};
  const VmobaConfig config = parse_vmoba_config(parsed(kWan480), "file");
  const int64_t blocks[] = {10, 130, 325}, tokens[] = {3120, 240, 96};
  for (int64_t layer = 0; layer < 3; ++layer) {
    const VmobaParams params = config.params(layer, grid);
    const TileGrid grid_of_blocks = partition_blocks(params.partition, grid);
    EXPECT_EQ(grid_of_blocks.num_tiles(), blocks[layer]);
    EXPECT_EQ(grid_of_blocks.size(0), tokens[layer]);
    EXPECT_EQ(params.select, VmobaSelect::kThreshold);
    EXPECT_EQ(params.threshold, 0.25);
  }
}

TEST(VmobaConfig, EightyOneFramesDoNotDivide) {
  const VmobaConfig config = parse_vmoba_config(parsed(kWan448), "file");
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [&] {
                         config.params(2, {21, 28, 52});
                       }),
              HasSubstr("21"));
}

TEST(VmobaConfig, LoadsFromEitherPlaceAndRefusesAContradiction) {
  const Json keys = parsed(kWan448);
  EXPECT_EQ(vmoba_config_to_json(parse_vmoba_config({{"moba_config", keys}}, "file")), keys);
  Json both = keys;
  both["moba_config"] = keys;
  EXPECT_EQ(vmoba_config_to_json(parse_vmoba_config(both, "file")), keys);
  both["moba_config"]["st_topk"] = 19;
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { parse_vmoba_config(both, "file"); }),
              HasSubstr("the values of the top level"));
}

TEST(VmobaConfig, MissingKeysTakeThePublicDefaults) {
  const VmobaConfig config = parse_vmoba_config(
      parsed(R"({"temporal_chunk_size": 2.0, "temporal_topk": 3, "spatial_chunk_size": [3, 4],
                 "spatial_topk": 20, "st_chunk_size": [4, 6, 4], "st_topk": 15})"),
      "file");
  EXPECT_EQ(vmoba_config_to_json(config), parsed(kWan480));
}

TEST(VmobaConfig, RefusesWrongValues) {
  const struct {
    const char* key;
    Json value;
    const char* message;
  } cases[] = {{"st_topk", 0, "/st_topk"},
               {"moba_threshold", 1.5, "/moba_threshold"},
               {"moba_threshold_type", "query", "query_head"},
               {"moba_threshold_type", "block", "with topk"},
               {"moba_select_mode", "topp", "topk or threshold"},
               {"spatial_chunk_size", {4, 4, 13}, "/spatial_chunk_size"},
               {"temporal_layers", 1, "/temporal_layers"}};
  for (const auto& [key, value, message] : cases) {
    Json json = parsed(kWan448);
    json[key] = value;
    EXPECT_THAT(error_of(ErrorKind::kData, [&, j = json] { parse_vmoba_config(j, "file"); }),
                HasSubstr(message));
  }
  Json fraction = parsed(kWan448);
  fraction["temporal_chunk_size"] = 1.5;
  EXPECT_THAT(error_of(ErrorKind::kUnsupported,
                       [&] {
                         parse_vmoba_config(fraction, "file").params(0, {20, 28, 52});
                       }),
              HasSubstr("fractions of a frame"));
}

TEST(VmobaCycle, TheShortestIsFound) {
  using enum PartitionKind;
  std::vector<std::optional<PartitionKind>> kinds;
  for (int layer = 0; layer < 30; ++layer)
    kinds.push_back(
        std::array{kTemporal, kSpatial, kSpatioTemporal}[static_cast<size_t>(layer % 3)]);
  const auto cycle = find_vmoba_cycle(kinds);
  ASSERT_TRUE(cycle);
  EXPECT_EQ(cycle->temporal_layers + cycle->spatial_layers + cycle->st_layers, 3);
  EXPECT_EQ(cycle->first_full_layer, 0);

  const VmobaSchedule schedules[] = {{2, 1, 1, 0}, {0, 1, 1, 0}, {1, 1, 1, 2}, {2, 3, 1, 4}};
  for (const VmobaSchedule& schedule : schedules) {
    for (size_t layer = 0; layer < kinds.size(); ++layer) {
      kinds[layer] = partition_kind(schedule, static_cast<int64_t>(layer));
    }
    const auto found = find_vmoba_cycle(kinds);
    ASSERT_TRUE(found);
    for (int64_t layer = 0; layer < 30; ++layer) {
      EXPECT_EQ(partition_kind(*found, layer), partition_kind(schedule, layer));
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
