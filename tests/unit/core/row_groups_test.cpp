#include "core/row_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace sparsescope {
namespace {

struct Case {
  TokenGrid grid;
  TileShape tile;
  int64_t prefix, suffix;
};

class RowGroupsLaws : public ::testing::TestWithParam<Case> {
 protected:
  TileGrid tiles_{GetParam().grid, GetParam().tile};
  RowGroups rows_ = make_row_groups(tiles_, GetParam().prefix, GetParam().suffix);
};

TEST_P(RowGroupsLaws, EveryRowOnce) {
  const int64_t total = GetParam().grid.tokens() + GetParam().prefix + GetParam().suffix;
  ASSERT_EQ(static_cast<int64_t>(rows_.order.size()), total);
  EXPECT_EQ(static_cast<int64_t>(std::set(rows_.order.begin(), rows_.order.end()).size()), total);
  EXPECT_EQ(*std::max_element(rows_.order.begin(), rows_.order.end()), total - 1);
}

TEST_P(RowGroupsLaws, BlocksFollowEachOtherWithinTheLanes) {
  int32_t next = 0;
  for (const RowBlock& block : rows_.blocks) {
    EXPECT_EQ(block.first, next);
    EXPECT_GE(block.count, 1);
    EXPECT_LE(block.count, kRowLanes);
    next += block.count;
  }
  EXPECT_EQ(next, static_cast<int32_t>(rows_.order.size()));
}

TEST_P(RowGroupsLaws, EveryTileOnceAndWholeInItsGroup) {
  std::set<int32_t> seen;
  int32_t next_block = 0, next_tile = 0;
  for (int32_t g = 0; g < rows_.num_video_groups; ++g) {
    const RowGroup& group = rows_.groups[static_cast<size_t>(g)];
    ASSERT_EQ(group.first_block, next_block);
    ASSERT_EQ(group.first_tile, next_tile);
    next_block += group.num_blocks;
    next_tile += group.num_tiles;
    // Several blocks only where one tile needs them.
    EXPECT_TRUE(group.num_blocks == 1 || group.num_tiles == 1);
    const RowBlock& last = rows_.blocks[static_cast<size_t>(next_block) - 1];
    int32_t at = rows_.blocks[static_cast<size_t>(group.first_block)].first;
    for (int32_t t = group.first_tile; t < next_tile; ++t) {
      const TileRows& tile = rows_.tiles[static_cast<size_t>(t)];
      EXPECT_TRUE(seen.insert(tile.tile).second);
      ASSERT_EQ(tile.first, at);
      const std::vector<int32_t> tokens = tiles_.tokens_of(tile.tile);
      ASSERT_EQ(tile.count, static_cast<int32_t>(tokens.size()));
      for (int32_t r = 0; r < tile.count; ++r) {
        ASSERT_EQ(rows_.order[static_cast<size_t>(tile.first + r)],
                  tokens[static_cast<size_t>(r)] + GetParam().prefix);
      }
      at += tile.count;
    }
    EXPECT_EQ(at, last.first + last.count);
  }
  EXPECT_EQ(static_cast<int64_t>(seen.size()), tiles_.num_tiles());
  EXPECT_EQ(rows_.tiles.size(), seen.size());
}

TEST_P(RowGroupsLaws, TextRowsHaveGroupsOfTheirOwnAtTheEnd) {
  int64_t text_rows = 0;
  for (size_t g = static_cast<size_t>(rows_.num_video_groups); g < rows_.groups.size(); ++g) {
    EXPECT_EQ(rows_.groups[g].num_tiles, 0);
    EXPECT_EQ(rows_.groups[g].num_blocks, 1);
    const RowBlock& block = rows_.blocks[static_cast<size_t>(rows_.groups[g].first_block)];
    EXPECT_GE(block.first, GetParam().grid.tokens());
    text_rows += block.count;
  }
  EXPECT_EQ(text_rows, GetParam().prefix + GetParam().suffix);
}

INSTANTIATE_TEST_SUITE_P(
    Grids, RowGroupsLaws,
    ::testing::Values(Case{{1, 1, 1}, {4, 4, 4}, 0, 0}, Case{{8, 16, 16}, {4, 4, 4}, 0, 0},
                      Case{{5, 9, 10}, {4, 4, 4}, 7, 0}, Case{{7, 13, 15}, {4, 4, 4}, 0, 130},
                      Case{{7, 13, 15}, {4, 8, 8}, 5, 66}, Case{{3, 5, 7}, {1, 1, 1}, 0, 0}));

// 32,760 rows need at least 512 blocks of 64; one block a tile would be 624.
TEST(RowGroups, ClippedTilesShareBlocks) {
  const RowGroups rows = make_row_groups(TileGrid({21, 30, 52}, {4, 4, 4}), 0, 0);
  EXPECT_GE(rows.blocks.size(), 512u);
  EXPECT_LE(rows.blocks.size(), 514u);
}

}  // namespace
}  // namespace sparsescope
