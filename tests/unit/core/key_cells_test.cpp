// The laws of a common refinement: cells are disjoint, cover every token once, and never cross a
// tile or a block.
#include "core/key_cells.h"

#include <gtest/gtest.h>

#include <set>

namespace sparsescope {
namespace {

struct Case {
  TokenGrid grid;
  TileShape tile;
  std::vector<const char*> partitions;
  int64_t prefix, suffix;
};

class KeyCellsLaws : public ::testing::TestWithParam<Case> {
 protected:
  KeyCellsLaws() {
    for (const char* text : GetParam().partitions) partitions_.push_back(parse_partition(text));
    cells_ = make_key_cells(tiles_, partitions_, GetParam().prefix, GetParam().suffix);
  }

  int64_t video_tokens() const { return GetParam().grid.tokens(); }
  // Raster index of a video token at a position.
  int64_t raster_at(int64_t position) const {
    return cells_.order[static_cast<size_t>(position)] - GetParam().prefix;
  }

  TileGrid tiles_{GetParam().grid, GetParam().tile};
  std::vector<Partition> partitions_;
  KeyCells cells_{.tiles = tiles_};
};

TEST_P(KeyCellsLaws, OrderIsAPermutationWithTheVideoFirst) {
  const int64_t total = video_tokens() + GetParam().prefix + GetParam().suffix;
  ASSERT_EQ(static_cast<int64_t>(cells_.order.size()), total);
  EXPECT_EQ(static_cast<int64_t>(std::set(cells_.order.begin(), cells_.order.end()).size()), total);
  for (int64_t i = 0; i < video_tokens(); ++i) {
    ASSERT_GE(raster_at(i), 0);
    ASSERT_LT(raster_at(i), video_tokens());
  }
}

TEST_P(KeyCellsLaws, CellsFollowEachOtherAndFillTheirTiles) {
  int64_t position = 0;
  std::vector<int64_t> tile_tokens(static_cast<size_t>(tiles_.num_tiles()));
  for (int32_t i = 0; i < cells_.num_video_cells; ++i) {
    const KeyCell& cell = cells_.cells[static_cast<size_t>(i)];
    ASSERT_EQ(cell.first, position);
    ASSERT_GT(cell.count, 0);
    ASSERT_EQ(cell.count, cell.box.volume());
    ASSERT_GE(i, cells_.tile_first[static_cast<size_t>(cell.tile)]);
    ASSERT_LT(i, cells_.tile_first[static_cast<size_t>(cell.tile) + 1]);
    tile_tokens[static_cast<size_t>(cell.tile)] += cell.count;
    position += cell.count;
  }
  EXPECT_EQ(position, video_tokens());
  for (int64_t tile = 0; tile < tiles_.num_tiles(); ++tile) {
    EXPECT_EQ(tile_tokens[static_cast<size_t>(tile)], tiles_.size(tile));
  }
}

TEST_P(KeyCellsLaws, NoCellCrossesATileOrABlock) {
  ASSERT_EQ(cells_.block_of_cell.size(), partitions_.size());
  for (int32_t i = 0; i < cells_.num_video_cells; ++i) {
    const KeyCell& cell = cells_.cells[static_cast<size_t>(i)];
    const Box& box = cell.box;
    for (int32_t k = 0; k < cell.count; ++k) {
      const int64_t raster = raster_at(cell.first + k);
      ASSERT_EQ(tiles_.tile_of_token(raster), cell.tile);
      for (size_t p = 0; p < partitions_.size(); ++p) {
        ASSERT_EQ(partition_blocks(partitions_[p], GetParam().grid).tile_of_token(raster),
                  cells_.block_of_cell[p][static_cast<size_t>(i)]);
      }
      // Tokens of the box, in (t, h, w) order.
      ASSERT_EQ(raster, GetParam().grid.raster(box.t0 + k / (box.h * box.w),
                                               box.h0 + k / box.w % box.h, box.w0 + k % box.w));
    }
  }
}

TEST_P(KeyCellsLaws, TheTextIsOneCellAtTheEnd) {
  const int64_t text = GetParam().prefix + GetParam().suffix;
  ASSERT_EQ(static_cast<int64_t>(cells_.cells.size()), cells_.num_video_cells + (text > 0 ? 1 : 0));
  if (text == 0) return;
  const KeyCell& cell = cells_.cells.back();
  EXPECT_EQ(cell.first, video_tokens());
  EXPECT_EQ(cell.count, text);
  EXPECT_EQ(cell.tile, -1);
  for (int32_t k = 0; k < cell.count; ++k) {
    const int32_t token = cells_.order[static_cast<size_t>(cell.first + k)];
    EXPECT_EQ(token, k < GetParam().prefix ? k : k + video_tokens());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Grids, KeyCellsLaws,
    ::testing::Values(Case{{1, 1, 1}, {4, 4, 4}, {}, 0, 0}, Case{{5, 9, 10}, {4, 4, 4}, {}, 3, 0},
                      Case{{4, 6, 8}, {4, 4, 4}, {"temporal:3", "spatial:3,2", "st:2,6,4"}, 0, 5},
                      Case{
                          {7, 13, 15}, {4, 4, 4}, {"temporal:2", "spatial:13,5", "st:7,1,3"}, 2, 1},
                      Case{{2, 3, 5}, {1, 1, 1}, {"temporal:1"}, 0, 0},
                      Case{{3, 8, 8}, {9, 9, 9}, {"spatial:4,4"}, 1, 1}));

// By hand: an axis of 6 tokens cut at 4 by the tiles and at 3 by the blocks.
TEST(KeyCells, CutsOfOneAxis) {
  const TileGrid tiles({1, 1, 6}, {4, 4, 4});
  const KeyCells cells = make_key_cells(tiles, {parse_partition("spatial:1,3")}, 0, 0);
  ASSERT_EQ(cells.num_video_cells, 3);
  EXPECT_EQ(cells.cells[0].count, 3);  // tokens 0 1 2
  EXPECT_EQ(cells.cells[1].count, 1);  // token 3
  EXPECT_EQ(cells.cells[2].count, 2);  // tokens 4 5
  EXPECT_EQ(cells.tile_first, (std::vector<int32_t>{0, 2, 3}));
  EXPECT_EQ(cells.block_of_cell[0], (std::vector<int32_t>{0, 1, 1}));
}

}  // namespace
}  // namespace sparsescope
