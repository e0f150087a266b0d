// All partitions of a grid, and those of them that a budget of cells and blocks allows.
#include "core/partition_choice.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "core/key_cells.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kNoLimit = int64_t{1} << 40;

const TileGrid kGrids[] = {TileGrid({8, 16, 16}, {4, 4, 4}), TileGrid({7, 13, 15}, {4, 8, 8}),
                           TileGrid({6, 8, 12}, {2, 3, 4}), TileGrid({1, 8, 12}, {4, 4, 4}),
                           TileGrid({3, 2, 2}, {1, 1, 1})};

std::vector<std::string> texts_of(const std::vector<Partition>& partitions) {
  std::vector<std::string> texts;
  for (const Partition& partition : partitions) texts.push_back(to_string(partition));
  return texts;
}

// Cells and blocks, from the cells that the kernel would run on.
int64_t use_of(const TileGrid& tiles, const std::vector<Partition>& partitions) {
  int64_t use = make_key_cells(tiles, partitions, 0, 0).num_video_cells;
  for (const Partition& partition : partitions) {
    use += partition_blocks(partition, tiles.grid()).num_tiles();
  }
  return use;
}

TEST(LegalPartitions, OfASmallGrid) {
  EXPECT_THAT(texts_of(legal_partitions({2, 2, 3})),
              ElementsAre("temporal:1", "spatial:1,1", "spatial:1,3", "spatial:2,1", "st:1,1,1",
                          "st:1,1,3", "st:1,2,1"));
  EXPECT_THAT(texts_of(legal_partitions({3, 1, 1})), ElementsAre("temporal:1", "temporal:2"));
  EXPECT_THAT(legal_partitions({1, 1, 1}), IsEmpty());
}

// As many as there are dividing shapes of two blocks or more, and runs of frames that do not
// divide.
TEST(LegalPartitions, CutTheGridInEveryWayOnce) {
  for (const TileGrid& tiles : kGrids) {
    const TokenGrid& grid = tiles.grid();
    std::set<std::tuple<int64_t, int64_t, int64_t>> shapes;
    for (const Partition& partition : legal_partitions(grid)) {
      const TileGrid blocks = partition_blocks(partition, grid);
      EXPECT_GE(blocks.num_tiles(), 2) << to_string(partition);
      const TileShape& shape = blocks.shape();
      EXPECT_TRUE(shapes.emplace(shape.t, shape.h, shape.w).second) << to_string(partition);
    }
    size_t expected = 0;
    for (int64_t t = 1; t <= grid.t; ++t) {
      for (int64_t h = 1; h <= grid.h; ++h) {
        for (int64_t w = 1; w <= grid.w; ++w) {
          const bool whole_frames = h == grid.h && w == grid.w && t < grid.t;
          const bool divides = grid.t % t == 0 && grid.h % h == 0 && grid.w % w == 0 &&
                               TileShape{t, h, w}.volume() < grid.tokens();
          expected += whole_frames || divides ? 1 : 0;
        }
      }
    }
    EXPECT_EQ(shapes.size(), expected);
  }
}

TEST(PartitionChoice, StaysInItsBudgetAndFillsIt) {
  for (const TileGrid& tiles : kGrids) {
    for (const int64_t budget : {1, 50, 150, 300, 600, 5000}) {
      const PartitionChoice choice = choose_partitions(tiles, kNoLimit, budget);
      EXPECT_EQ(choice.legal,
                std::ssize(choice.chosen) + choice.of_small_blocks + choice.beyond_budget);
      const int64_t use = use_of(tiles, choice.chosen);
      EXPECT_EQ(use, choice.cells + choice.blocks);
      EXPECT_TRUE(choice.chosen.empty() || use <= budget) << use << " of " << budget;
      int64_t small = 0;
      for (const Partition& partition : legal_partitions(tiles.grid())) {
        const bool chosen =
            std::find(choice.chosen.begin(), choice.chosen.end(), partition) != choice.chosen.end();
        if (partition_blocks(partition, tiles.grid()).shape().volume() <
            min_block_tokens(tiles.grid())) {
          EXPECT_FALSE(chosen) << to_string(partition);
          ++small;
        } else if (!chosen) {
          std::vector<Partition> more = choice.chosen;
          more.push_back(partition);
          EXPECT_GT(use_of(tiles, more), budget) << to_string(partition);
        }
      }
      EXPECT_EQ(choice.of_small_blocks, small);
    }
  }
}

TEST(PartitionChoice, HoldsTheDefaultCandidatesWithoutABudget) {
  for (const TileGrid& tiles : kGrids) {
    const std::vector<Partition> defaults = default_partitions(tiles.grid());
    const PartitionChoice choice = choose_partitions(tiles, kNoLimit, std::nullopt);
    EXPECT_EQ(choice.budget, use_of(tiles, defaults) + tiles.grid().tokens() / 5);
    for (const Partition& partition : defaults) {
      const TileShape shape = partition_blocks(partition, tiles.grid()).shape();
      EXPECT_TRUE(std::any_of(choice.chosen.begin(), choice.chosen.end(),
                              [&](const Partition& one) {
                                return partition_blocks(one, tiles.grid()).shape() == shape;
                              }))
          << to_string(partition);
    }
  }
}

// 8,16,16 in tiles of 4,4,4: the default candidates cut it into 128 cells and have 74 blocks.
TEST(PartitionChoice, TakesTheCheapestOfAGroupNext) {
  const TileGrid tiles({8, 16, 16}, {4, 4, 4});
  const auto added_to_defaults = [&](int64_t budget) {
    std::vector<Partition> added = choose_partitions(tiles, kNoLimit, budget).chosen;
    std::erase_if(added, [](const Partition& partition) {
      const std::vector<Partition> defaults = default_partitions({8, 16, 16});
      return std::find(defaults.begin(), defaults.end(), partition) != defaults.end();
    });
    return texts_of(added);
  };
  EXPECT_THAT(added_to_defaults(202), IsEmpty());
  // 8 blocks of 256 tokens; before it fits, two blocks of 1024 do.
  EXPECT_THAT(added_to_defaults(210), ElementsAre("spatial:4,8"));
  EXPECT_THAT(added_to_defaults(204), ElementsAre("temporal:5"));
}

TEST(PartitionChoice, LeavesOutWhatHasTooManyBlocks) {
  const TileGrid tiles({8, 16, 16}, {4, 4, 4});
  for (const Partition& partition : choose_partitions(tiles, 8, 10000).chosen) {
    EXPECT_LE(partition_blocks(partition, tiles.grid()).num_tiles(), 8) << to_string(partition);
  }
}

}  // namespace
}  // namespace sparsescope
