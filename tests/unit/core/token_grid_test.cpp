#include "core/token_grid.h"

#include <algorithm>

#include "support/expect_error.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

// Tile of a token, its number inside the tile, by a walk over the grid that knows no formula.
struct Walk {
  std::vector<int64_t> tile, slot, sizes;
};

Walk walk(const TokenGrid& grid, const TileShape& shape) {
  Walk result;
  result.tile.resize(static_cast<size_t>(grid.tokens()));
  result.slot.resize(static_cast<size_t>(grid.tokens()));
  int64_t tile = 0;
  for (int64_t t0 = 0; t0 < grid.t; t0 += shape.t) {
    for (int64_t h0 = 0; h0 < grid.h; h0 += shape.h) {
      for (int64_t w0 = 0; w0 < grid.w; w0 += shape.w, ++tile) {
        int64_t slot = 0;
        for (int64_t t = t0; t < std::min(t0 + shape.t, grid.t); ++t) {
          for (int64_t h = h0; h < std::min(h0 + shape.h, grid.h); ++h) {
            for (int64_t w = w0; w < std::min(w0 + shape.w, grid.w); ++w, ++slot) {
              const auto raster = static_cast<size_t>((t * grid.h + h) * grid.w + w);
              result.tile[raster] = tile;
              result.slot[raster] = slot;
            }
          }
        }
        result.sizes.push_back(slot);
      }
    }
  }
  return result;
}

TEST(TileGrid, PublishedRaggedExample) {
  const TileGrid tiles({5, 9, 10}, {4, 4, 4});
  EXPECT_EQ(tiles.tiles_t(), 2);
  EXPECT_EQ(tiles.tiles_h(), 3);
  EXPECT_EQ(tiles.tiles_w(), 3);
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < tiles.num_tiles(); ++i) sizes.push_back(tiles.size(i));
  EXPECT_THAT(sizes, ElementsAre(64, 64, 32, 64, 64, 32, 16, 16, 8, 16, 16, 8, 16, 16, 8, 4, 4, 2));
  // (t, h, w) -> raster, tile, slot in the tile
  const int64_t rows[][6] = {{0, 0, 0, 0, 0, 0},    {0, 3, 4, 34, 1, 12},  {0, 0, 8, 8, 2, 0},
                             {1, 1, 8, 108, 2, 10}, {2, 5, 9, 239, 5, 19}, {0, 8, 0, 80, 6, 0},
                             {3, 8, 9, 359, 8, 7},  {4, 0, 0, 360, 9, 0},  {4, 8, 8, 448, 17, 0},
                             {4, 8, 9, 449, 17, 1}};
  for (const auto& [t, h, w, raster, tile, slot] : rows) {
    EXPECT_EQ(tiles.grid().raster(t, h, w), raster);
    EXPECT_EQ(tiles.tile_of(t, h, w), tile);
    EXPECT_EQ(tiles.tile_of_token(raster), tile);
    EXPECT_EQ(tiles.tokens_of(tile)[static_cast<size_t>(slot)], raster);
  }
}

class TileGridLaws : public ::testing::TestWithParam<std::pair<TokenGrid, TileShape>> {};

TEST_P(TileGridLaws, EveryTokenInItsTileOnce) {
  const auto& [grid, shape] = GetParam();
  const TileGrid tiles(grid, shape);
  const Walk expected = walk(grid, shape);
  ASSERT_EQ(tiles.num_tiles(), static_cast<int64_t>(expected.sizes.size()));
  int64_t seen = 0;
  for (int64_t tile = 0; tile < tiles.num_tiles(); ++tile) {
    EXPECT_EQ(tiles.size(tile), expected.sizes[static_cast<size_t>(tile)]);
    const std::vector<int32_t> tokens = tiles.tokens_of(tile);
    ASSERT_EQ(static_cast<int64_t>(tokens.size()), tiles.size(tile));
    for (size_t slot = 0; slot < tokens.size(); ++slot, ++seen) {
      const auto raster = static_cast<size_t>(tokens[slot]);
      ASSERT_EQ(expected.tile[raster], tile);
      ASSERT_EQ(expected.slot[raster], static_cast<int64_t>(slot));
      ASSERT_EQ(tiles.tile_of_token(tokens[slot]), tile);
    }
  }
  EXPECT_EQ(seen, grid.tokens());
}

INSTANTIATE_TEST_SUITE_P(Grids, TileGridLaws,
                         ::testing::Values(std::pair<TokenGrid, TileShape>{{1, 1, 1}, {4, 4, 4}},
                                           std::pair<TokenGrid, TileShape>{{4, 4, 4}, {4, 4, 4}},
                                           std::pair<TokenGrid, TileShape>{{5, 9, 10}, {4, 4, 4}},
                                           std::pair<TokenGrid, TileShape>{{7, 13, 15}, {4, 8, 8}},
                                           std::pair<TokenGrid, TileShape>{{2, 3, 5}, {1, 1, 1}},
                                           std::pair<TokenGrid, TileShape>{{3, 5, 7}, {2, 9, 3}}));

TEST(TileGrid, RefusesEmptyExtents) {
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [] {
                         TileGrid({0, 4, 4}, {4, 4, 4});
                       }),
              HasSubstr("0,4,4"));
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [] {
                         TileGrid({4, 4, 4}, {4, -1, 4});
                       }),
              HasSubstr("4,-1,4"));
}

TEST(Partition, TextBothWays) {
  for (const char* text : {"temporal:2", "spatial:3,4", "st:4,6,4"}) {
    EXPECT_EQ(to_string(parse_partition(text)), text);
  }
  EXPECT_EQ(parse_partition("st:4,6,5").block, (TileShape{4, 6, 5}));
  for (const char* text :
       {"", "temporal", "temporal:", "temporal:0", "temporal:-1", "temporal:2,2", "spatial:3",
        "spatial:3,", "st:1,2", "st:1,2,3,4", "st:1,2,x", "spatial:3, 4", "cubic:2", "temporal:1.5",
        "temporal:99999999999999999999"}) {
    error_of(ErrorKind::kUsage, [&] { parse_partition(text); });
  }
}

TEST(Partition, BlocksOnAGrid) {
  const TokenGrid grid{8, 12, 20};
  EXPECT_EQ(partition_blocks(parse_partition("temporal:3"), grid).num_tiles(), 3);
  EXPECT_EQ(partition_blocks(parse_partition("temporal:3"), grid).size(2), 2 * 12 * 20);
  EXPECT_EQ(partition_blocks(parse_partition("temporal:99"), grid).num_tiles(), 1);
  EXPECT_EQ(partition_blocks(parse_partition("spatial:3,4"), grid).num_tiles(), 4 * 5);
  EXPECT_EQ(partition_blocks(parse_partition("spatial:3,4"), grid).size(0), 8 * 3 * 4);
  EXPECT_EQ(partition_blocks(parse_partition("st:4,6,4"), grid).num_tiles(), 2 * 2 * 5);
}

TEST(Partition, AnAxisThatIsNotDividedIsNamed) {
  const TokenGrid grid{8, 12, 20};
  const auto refusal = [&](const char* text) {
    return error_of(ErrorKind::kUsage, [&] { partition_blocks(parse_partition(text), grid); });
  };
  EXPECT_THAT(refusal("spatial:5,4"), HasSubstr("h axis has 12 tokens"));
  EXPECT_THAT(refusal("spatial:3,7"), HasSubstr("w axis has 20 tokens"));
  EXPECT_THAT(refusal("st:3,6,4"), HasSubstr("t axis has 8 tokens"));
}

TEST(Partition, CandidatesFitTheirGrid) {
  for (const TokenGrid& grid : {TokenGrid{8, 16, 16}, TokenGrid{7, 13, 15}, TokenGrid{21, 30, 52},
                                TokenGrid{1, 2, 3}, TokenGrid{1, 1, 1}}) {
    const std::vector<Partition> found = default_partitions(grid);
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_GE(partition_blocks(found[i], grid).num_tiles(), 2) << to_string(found[i]);
      for (size_t j = 0; j < i; ++j) EXPECT_NE(to_string(found[i]), to_string(found[j]));
    }
    EXPECT_EQ(found.empty(), grid.tokens() == 1);
  }
}

}  // namespace
}  // namespace sparsescope
