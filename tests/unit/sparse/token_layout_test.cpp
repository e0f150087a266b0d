#include "sparse/token_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "core/error.h"

namespace sparsescope {
namespace {

using Place = std::pair<int64_t, int64_t>;  // tile, slot

Place place_of(const TokenLayout& layout, int64_t token) {
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    const auto tokens = layout.tokens_of(tile);
    const auto at = std::find(tokens.begin(), tokens.end(), token);
    if (at != tokens.end()) return {tile, at - tokens.begin()};
  }
  return {-1, -1};
}

TEST(TokenLayout, WorkedExampleOfARaggedGrid) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 10}, {4, 4, 4}), 0, 0);
  const std::vector<int32_t> sizes = {64, 64, 32, 64, 64, 32, 16, 16, 8,
                                      16, 16, 8,  16, 16, 8,  4,  4,  2};
  ASSERT_EQ(layout.num_tiles(), 18);
  for (int64_t tile = 0; tile < 18; ++tile) EXPECT_EQ(layout.ranges[tile].count, sizes[tile]);
  // token (t, h, w), tile, slot
  const std::array<std::array<int64_t, 5>, 10> places = {{{0, 0, 0, 0, 0},
                                                          {0, 3, 4, 1, 12},
                                                          {0, 0, 8, 2, 0},
                                                          {1, 1, 8, 2, 10},
                                                          {2, 5, 9, 5, 19},
                                                          {0, 8, 0, 6, 0},
                                                          {3, 8, 9, 8, 7},
                                                          {4, 0, 0, 9, 0},
                                                          {4, 8, 8, 17, 0},
                                                          {4, 8, 9, 17, 1}}};
  for (const auto& [t, h, w, tile, slot] : places) {
    EXPECT_EQ(place_of(layout, (t * 9 + h) * 10 + w), Place(tile, slot));
  }
}

TEST(TokenLayout, PartitionBlocksHaveThePublishedOrder) {
  const TokenGrid grid{4, 6, 4};
  const auto spatial =
      make_token_layout(partition_blocks(parse_partition("spatial:3,2"), grid), 0, 0);
  EXPECT_EQ(place_of(spatial, 43), Place(3, 9));
  EXPECT_EQ(place_of(spatial, 57), Place(0, 17));
  EXPECT_EQ(place_of(spatial, 95), Place(3, 23));
  const auto cubes = make_token_layout(partition_blocks(parse_partition("st:2,3,2"), grid), 0, 0);
  EXPECT_EQ(place_of(cubes, 43), Place(3, 9));
  EXPECT_EQ(place_of(cubes, 57), Place(4, 5));
  EXPECT_EQ(place_of(cubes, 95), Place(7, 11));
}

// 12 tokens a frame: 1.3 frames are 15 tokens, of 48 the last 3 are short.
TEST(TokenLayout, TemporalBlocksMayCutFrames) {
  const TokenGrid grid{4, 3, 4};
  const TokenLayout layout = make_token_layout(temporal_blocks(grid, 1.3), 2, 0);
  ASSERT_EQ(layout.num_tiles(), 4);
  EXPECT_EQ(layout.ranges[0].count, 15);
  EXPECT_EQ(layout.ranges[3].count, 3);
  for (int32_t s = 0; s < 48; ++s) EXPECT_EQ(layout.order[s], 2 + s);
  const TokenLayout whole = make_token_layout(temporal_blocks(grid, 2), 2, 0);
  const TokenLayout by_kind =
      make_token_layout(partition_blocks(parse_partition("temporal:2"), grid), 2, 0);
  EXPECT_EQ(whole.order, by_kind.order);
  EXPECT_EQ(blocks_of_positions(whole), blocks_of_positions(by_kind));
  EXPECT_EQ(make_token_layout(temporal_blocks(grid, 9.5), 0, 0).num_tiles(), 1);
  EXPECT_THROW(temporal_blocks(grid, 0.01), Error);
}

TEST(TokenLayout, HoldsEveryTokenOnceWithTextBehindTheVideo) {
  std::vector<TileGrid> cuts;
  for (const TokenGrid& grid :
       {TokenGrid{5, 9, 10}, TokenGrid{1, 1, 1}, TokenGrid{4, 4, 4}, TokenGrid{21, 30, 52}}) {
    cuts.emplace_back(grid, TileShape{4, 4, 4});
  }
  const TokenGrid even{4, 6, 4};
  for (const char* text : {"temporal:1", "temporal:3", "spatial:3,2", "st:2,3,2"}) {
    cuts.push_back(partition_blocks(parse_partition(text), even));
  }
  cuts.push_back(temporal_blocks(even, 1.3));
  for (const TileGrid& cut : cuts) {
    const TokenLayout layout = make_token_layout(cut, 3, 2);
    std::vector<int32_t> sorted = layout.order, all(layout.tokens());
    std::sort(sorted.begin(), sorted.end());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(sorted, all);
    const auto text = layout.tokens_of(layout.num_tiles());
    const auto last = static_cast<int32_t>(3 + cut.grid().tokens());
    EXPECT_EQ(std::vector<int32_t>(text.begin(), text.end()),
              (std::vector<int32_t>{0, 1, 2, last, last + 1}));
  }
}

}  // namespace
}  // namespace sparsescope
