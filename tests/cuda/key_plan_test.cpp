// How keys are dealt into slots: small grids by hand, and the laws on many.
#include "kernels/cuda/key_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/attention_case.h"

namespace sparsescope::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

KeyPlan plan_of(const TokenGrid& grid, const TileShape& tile, int64_t prefix = 0,
                int64_t suffix = 0, const std::vector<std::string>& partitions = {}) {
  std::vector<Partition> parsed;
  for (const std::string& text : partitions) parsed.push_back(parse_partition(text));
  return plan_bricks(make_key_cells(TileGrid(grid, tile), parsed, prefix, suffix));
}

std::vector<int32_t> pieces_of_blocks(const KeyPlan& plan) {
  std::vector<int32_t> counts;
  for (size_t block = 0; block < plan.blocks.size(); ++block) {
    const bool last = block + 1 == plan.blocks.size();
    counts.push_back((last ? plan.num_pieces() : plan.blocks[block + 1].first_piece) -
                     plan.blocks[block].first_piece);
  }
  return counts;
}

TEST(KeyPlan, PlainOrderFillsBlocks) {
  std::vector<int32_t> order(70);
  for (int i = 0; i < 70; ++i) order[i] = 69 - i;
  const KeyPlan plan = plan_tokens(order);
  EXPECT_THAT(plan.valid, ElementsAre(~uint64_t{0}, uint64_t{0x3f}));
  order.resize(128, -1);
  EXPECT_EQ(plan.tokens, order);
  EXPECT_TRUE(plan.blocks.empty());
  EXPECT_EQ(plan.num_pieces(), 0);
}

// Two tiles of 4 x 4 x 4 beside each other: a block each with the same places, and nothing idle.
TEST(KeyPlan, FullTilesAreBlocks) {
  const KeyPlan plan = plan_of({4, 4, 8}, {4, 4, 4});
  ASSERT_EQ(plan.num_blocks(), 2);
  EXPECT_THAT(plan.valid, ElementsAre(~uint64_t{0}, ~uint64_t{0}));
  EXPECT_EQ(plan.slots_per_token(), 1.0);
  EXPECT_EQ(plan.num_bins, 16);
  EXPECT_THAT(pieces_of_blocks(plan), ElementsAre(1, 1));
  EXPECT_THAT(plan.piece_cell, ElementsAre(0, 1));
  for (int b = 0; b < 2; ++b) {
    EXPECT_EQ(plan.blocks[b].first_piece, b);
    EXPECT_EQ(plan.blocks[b].places, 0);
    EXPECT_EQ(plan.blocks[b].w, 8 + 4 * b);
    for (int i = 0; i < kBlockBricks; ++i) {
      const KeyBrick& brick = plan.bricks[8 * b + i];
      EXPECT_EQ(brick.t, i / 2);
      EXPECT_EQ(brick.h, 4 + 2 * (i % 2));
      EXPECT_EQ(brick.w, 8 + 4 * b);
      EXPECT_EQ(brick.ends, i == 7 ? kEndsW | kEndsPiece : 0);
    }
  }
  // Brick 3 of block 1 is t 1, h 2 and 3, w 4 to 7 of a grid of 4 x 8 a frame.
  const std::vector<int32_t> brick(plan.tokens.begin() + 64 + 24, plan.tokens.begin() + 64 + 32);
  EXPECT_THAT(brick, ElementsAre(52, 53, 54, 55, 60, 61, 62, 63));
}

// Frames of 3 x 5: cells of 1 x 3 x 4 (two bricks) and 1 x 3 x 1 (two bricks), then text of 10.
TEST(KeyPlan, ClippedCellsAndText) {
  const KeyPlan plan = plan_of({1, 3, 5}, {4, 4, 4}, 2, 8);
  ASSERT_EQ(plan.num_blocks(), 1);
  constexpr int _ = -1;
  EXPECT_THAT(plan.tokens,
              ElementsAreArray({2,  3,  4,  5,  7,  8,  9,  10,  // h 0 and 1 of the first cell
                                12, 13, 14, 15, _,  _,  _,  _,   // h 2
                                6,  _,  _,  _,  11, _,  _,  _,   // the second cell
                                16, _,  _,  _,  _,  _,  _,  _,   //
                                0,  1,  17, 18, 19, 20, 21, 22,  // text
                                23, 24, _,  _,  _,  _,  _,  _,   //
                                _,  _,  _,  _,  _,  _,  _,  _,   //
                                _,  _,  _,  _,  _,  _,  _,  _}));
  EXPECT_EQ(plan.valid[0], uint64_t{0x03ff'0111'0fff});
  EXPECT_EQ(plan.blocks[0].w, -1);
  EXPECT_THAT(plan.piece_cell, ElementsAre(0, 1, 2));
  EXPECT_THAT(pieces_of_blocks(plan), ElementsAre(3));
  // Bins: t 0; h 1 to 3; w 4 to 8.
  struct Expected {
    int t, h, w, ends;
  };
  const Expected expected[] = {{0, 1, 4, 0},    {0, 3, 4, kEndsW | kEndsPiece},
                               {0, 1, 8, 0},    {0, 3, 8, kEndsW | kEndsPiece},
                               {-1, -1, -1, 0}, {-1, -1, -1, kEndsPiece},
                               {-1, -1, -1, 0}, {-1, -1, -1, 0}};
  for (int i = 0; i < kBlockBricks; ++i) {
    SCOPED_TRACE(i);
    const KeyBrick& brick = plan.bricks[i];
    EXPECT_EQ(brick.t, expected[i].t);
    EXPECT_EQ(brick.h, expected[i].h);
    EXPECT_EQ(brick.w, expected[i].w);
    EXPECT_EQ(brick.ends, expected[i].ends);
  }
}

// Five frames: each tile of four is a block; the tiles of the last frame share one.
TEST(KeyPlan, LargeBoxesStandAloneAndOthersShare) {
  const KeyPlan plan = plan_of({5, 4, 16}, {4, 4, 4});
  ASSERT_EQ(plan.num_blocks(), 5);
  for (int b = 0; b < 5; ++b) {
    EXPECT_EQ(plan.blocks[b].w, b < 4 ? 9 + 4 * b : -1);
    EXPECT_EQ(plan.blocks[b].places, b < 4 ? 0 : 4);
  }
  EXPECT_THAT(pieces_of_blocks(plan), ElementsAre(1, 1, 1, 1, 4));
  EXPECT_EQ(plan.slots_per_token(), 1.0);
}

// One cell of more than a block: boxes of 4 x 4 x 4 that are pieces of one cell.
TEST(KeyPlan, LargeCellsAreCutIntoBoxes) {
  const KeyPlan plan = plan_of({4, 8, 4}, {4, 8, 8});
  ASSERT_EQ(plan.num_blocks(), 2);
  EXPECT_THAT(plan.piece_cell, ElementsAre(0, 0));
  EXPECT_EQ(plan.bricks[0].h, 4);
  EXPECT_EQ(plan.bricks[8].h, 8);
  EXPECT_EQ(plan.blocks[0].places, 0);
  EXPECT_EQ(plan.blocks[1].places, 1);
  EXPECT_EQ(plan.blocks[0].w, 12);
  EXPECT_EQ(plan.blocks[1].w, 12);
}

// Wan at 480p, 81 frames, and at 720p: what bricks cost in slots.
TEST(KeyPlan, FewSlotsIdleOnPublishedGrids) {
  EXPECT_LT(plan_of({21, 30, 52}, {4, 4, 4}).slots_per_token(), 1.01);
  EXPECT_LT(plan_of({21, 45, 80}, {4, 4, 4}).slots_per_token(), 1.025);
}

// One for every token, summed as the kernel does: by what blocks and bricks say.
void expect_counts(const KeyCells& cells, const KeyPlan& plan) {
  const TokenGrid& grid = cells.tiles.grid();
  std::vector<int> bins(plan.num_bins + kSpareBins), expected(bins.size());
  std::vector<int> pieces(plan.num_pieces());
  for (int64_t block = 0; block < plan.num_blocks(); ++block) {
    const KeyBlockPlace& place = plan.blocks[block];
    int32_t piece = place.first_piece;
    for (int i = 0; i < kBlockBricks; ++i) {
      const KeyBrick& brick = plan.bricks[8 * block + i];
      const KeyBrick& kept = plan.bricks[8 * place.places + i];
      const int32_t w = place.w >= 0 ? place.w : brick.w;
      for (int slot = 0; slot < kBrickSlots; ++slot) {
        if (plan.tokens[64 * block + 8 * i + slot] < 0) continue;
        ++pieces[piece];
        if (brick.t < 0) continue;
        ++bins[kept.t];
        ++bins[kept.h + slot / 4];
        ++bins[w + slot % 4];
      }
      if (place.w < 0 && (brick.ends & kEndsPiece) != 0) ++piece;
    }
  }
  std::vector<int> tokens(cells.cells.size());
  for (int32_t i = 0; i < plan.num_pieces(); ++i) tokens[plan.piece_cell[i]] += pieces[i];
  for (size_t c = 0; c < cells.cells.size(); ++c) EXPECT_EQ(tokens[c], cells.cells[c].count);
  for (int64_t t = 0; t < grid.t; ++t) expected[t] = static_cast<int>(grid.h * grid.w);
  for (int64_t h = 0; h < grid.h; ++h) expected[grid.t + h] = static_cast<int>(grid.t * grid.w);
  for (int64_t w = 0; w < grid.w; ++w) {
    expected[grid.t + grid.h + w] = static_cast<int>(grid.t * grid.h);
  }
  EXPECT_EQ(bins, expected);
}

void expect_laws(const KeyCells& cells, const KeyPlan& plan, int64_t prefix) {
  const auto tokens = static_cast<int64_t>(cells.order.size());
  std::vector<int> cell_of(tokens), seen(tokens, 0);
  for (size_t c = 0; c < cells.cells.size(); ++c) {
    for (int32_t i = 0; i < cells.cells[c].count; ++i) {
      cell_of[cells.order[cells.cells[c].first + i]] = static_cast<int>(c);
    }
  }
  ASSERT_EQ(plan.tokens.size(), plan.valid.size() * 64);
  ASSERT_EQ(plan.bricks.size(), plan.valid.size() * 8);
  EXPECT_TRUE(std::is_sorted(plan.piece_cell.begin(), plan.piece_cell.end()));
  const TokenGrid& grid = cells.tiles.grid();
  int32_t piece = 0;
  for (int64_t slot = 0; slot < static_cast<int64_t>(plan.tokens.size()); ++slot) {
    const int64_t block = slot / 64, brick_idx = slot / 8;
    const KeyBrick& brick = plan.bricks[brick_idx];
    if (slot % 64 == 0) {
      ASSERT_EQ(plan.blocks[block].first_piece, piece);
    }
    const int32_t token = plan.tokens[slot];
    ASSERT_EQ(plan.valid[block] >> (slot % 64) & 1, token >= 0 ? 1u : 0u);
    if (token >= 0) {
      ++seen[token];
      ASSERT_EQ(plan.piece_cell[piece], cell_of[token]);
      const int64_t raster = token - prefix;
      if (cells.cells[cell_of[token]].tile >= 0) {
        ASSERT_EQ(brick.t, raster / (grid.h * grid.w));
        ASSERT_EQ(brick.h + slot % 8 / 4, grid.t + raster / grid.w % grid.h);
        ASSERT_EQ(brick.w + slot % 4, grid.t + grid.h + raster % grid.w);
      } else {
        ASSERT_EQ(brick.t, -1);
      }
    }
    if (slot % 8 == 7 && (brick.ends & kEndsPiece) != 0) ++piece;
  }
  EXPECT_EQ(piece, plan.num_pieces());
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
}

TEST(KeyPlan, EveryTokenHasOneSlotInItsPlace) {
  struct Case {
    TokenGrid grid;
    TileShape tile;
    int64_t prefix, suffix;
    std::vector<std::string> partitions;
  };
  const std::vector<Case> cases{{{1, 1, 1}, {4, 4, 4}, 0, 0, {}},
                                {{5, 7, 6}, {4, 4, 4}, 3, 0, {}},
                                {{7, 13, 5}, {3, 4, 5}, 0, 0, {}},
                                {{6, 9, 10}, {6, 9, 5}, 2, 70, {}},
                                {{2, 2, 37}, {1, 1, 1}, 0, 9, {}},
                                {{6, 8, 12}, {4, 4, 4}, 0, 0, {"temporal:4", "spatial:2,3"}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(to_string(c.grid));
    std::vector<Partition> partitions;
    for (const std::string& text : c.partitions) partitions.push_back(parse_partition(text));
    const KeyCells cells = make_key_cells(TileGrid(c.grid, c.tile), partitions, c.prefix, c.suffix);
    const KeyPlan plan = plan_bricks(cells);
    expect_laws(cells, plan, c.prefix);
    expect_counts(cells, plan);
  }
}

}  // namespace
}  // namespace sparsescope::cuda
