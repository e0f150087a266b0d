// Laws of VMoBA's selection that hold for any input.
#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "kernels/impl.h"
#include "sparse/masks.h"
#include "sparse/vmoba_selector.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::Qkv;

class VmobaLaws : public ::testing::TestWithParam<Impl> {
 protected:
  static constexpr int64_t kHeads = 3;

  std::vector<RowSelection> select(const Qkv& x, const TokenLayout& layout,
                                     const VmobaOptions& options) {
    std::vector<int64_t> heads(x.heads);
    std::iota(heads.begin(), heads.end(), 0);
    return select_vmoba(x.view(x.q), x.view(x.k), heads, layout, options, GetParam(), pool_);
  }

  ThreadPool pool_{2};
};

int64_t blocks_of(const RowSelection& selection, int64_t position) {
  int64_t count = 0;
  for (int64_t c = 0; c < selection.num_blocks; ++c) count += selection.selected(c, position);
  return count;
}

int64_t pairs(const RowSelection& selection) {
  int64_t count = 0;
  for (const uint64_t word : selection.bits) count += std::popcount(word);
  return count;
}

TEST_P(VmobaLaws, OwnBlocksAndTheExtraEntry) {
  const TokenGrid grid{5, 4, 6};
  const Qkv x = testing::random_qkv(2, kHeads, grid.tokens(), 16, 3);
  const std::vector<TokenLayout> layouts = {
      make_token_layout(partition_blocks(parse_partition("temporal:2"), grid), 0, 0),
      make_token_layout(temporal_blocks(grid, 1.3), 0, 0),
      make_token_layout(partition_blocks(parse_partition("spatial:2,3"), grid), 0, 0),
      make_token_layout(partition_blocks(parse_partition("st:1,2,3"), grid), 0, 0)};
  for (const TokenLayout& layout : layouts) {
    const std::vector<int32_t> own = blocks_of_positions(layout);
    for (const VmobaPool pool :
         {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
      for (const double tau : {0.0, 0.3}) {
        const auto selections =
            select(x, layout,
                   {.params = {.select = VmobaSelect::kThreshold, .threshold = tau, .pool = pool}});
        ASSERT_EQ(selections.size(), 2u * kHeads);
        for (const RowSelection& selection : selections) {
          for (int64_t s = 0; s < grid.tokens(); ++s) {
            EXPECT_TRUE(selection.selected(own[s], s));
            if (pool == VmobaPool::kQueryHead) {
              EXPECT_GE(blocks_of(selection, s), 2);
            }
          }
          if (pool == VmobaPool::kHeadGlobal) {
            EXPECT_GT(pairs(selection), grid.tokens());
          }
        }
      }
    }
  }
}

TEST_P(VmobaLaws, AllBlocksOrOne) {
  const TokenGrid grid{6, 4, 6};
  const Qkv x = testing::random_qkv(2, kHeads, grid.tokens(), 16, 4);
  const TokenLayout layout =
      make_token_layout(partition_blocks(parse_partition("st:2,2,3"), grid), 0, 0);
  const int64_t all = grid.tokens() * layout.num_tiles();
  for (const VmobaPool pool :
       {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kOverall}) {
    const auto with_k = [&](int64_t k, bool compat) {
      return select(x, layout, {.params = {.top_k = k, .pool = pool}, .compat = compat});
    };
    for (const auto& selection : with_k(layout.num_tiles(), false))
      EXPECT_EQ(pairs(selection), all);
    for (const auto& selection : with_k(1, false)) EXPECT_EQ(pairs(selection), grid.tokens());
    for (const auto& selection : with_k(1, true)) EXPECT_EQ(pairs(selection), all);
  }
}

TEST_P(VmobaLaws, CompatRefusesBlocksOfOtherSamples) {
  const TokenGrid grid{6, 1, 1};
  const Qkv x = testing::random_qkv(2, 1, grid.tokens(), 4, 5);
  const TokenLayout layout =
      make_token_layout(partition_blocks(parse_partition("temporal:2"), grid), 0, 0);
  const VmobaParams params{.top_k = 4, .pool = VmobaPool::kHeadGlobal};
  try {
    select(x, layout, {.params = params, .compat = true});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  }
  EXPECT_EQ(pairs(select(x, layout, {.params = params})[1]), 6 * 3);
}

TEST_P(VmobaLaws, MasksStandInRasterOrder) {
  const TokenGrid grid{2, 4, 6};
  const Qkv x = testing::random_qkv(1, 1, grid.tokens(), 8, 6);
  const TokenLayout layout =
      make_token_layout(partition_blocks(parse_partition("spatial:2,3"), grid), 3, 1);
  Qkv with_text = testing::random_qkv(1, 1, grid.tokens() + 4, 8, 6);
  const RowSelection selection = select(with_text, layout, {.params = {.top_k = 1}})[0];
  const std::vector<uint8_t> mask = block_mask(layout, selection);
  for (int64_t raster = 0; raster < grid.tokens(); ++raster) {
    for (int64_t c = 0; c < 4; ++c) {
      EXPECT_EQ(mask[raster * 4 + c], layout.tiles.tile_of_token(raster) == c ? 1 : 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Impls, VmobaLaws, ::testing::ValuesIn(available_impls()));

}  // namespace
}  // namespace sparsescope
