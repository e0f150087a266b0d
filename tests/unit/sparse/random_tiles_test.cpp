// Random key tiles: exact counts, every subset alike, draws that depend on the site alone.
#include "sparse/random_tiles.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "sparse/sparse_executor.h"
#include "support/expect_error.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

TEST(RandomTiles, EveryKGivesKDistinctTilesInOrder) {
  constexpr int64_t kTiles = 9;
  for (int64_t top_k = 1; top_k <= kTiles; ++top_k) {
    const TileLists lists = random_tiles({.step = 3, .layer = 2}, 1, kTiles, top_k);
    ASSERT_EQ(lists.num_rows(), kTiles);
    for (int64_t query = 0; query < kTiles; ++query) {
      const auto tiles = lists.of(query);
      ASSERT_EQ(std::ssize(tiles), top_k);
      EXPECT_GE(tiles.front(), 0);
      EXPECT_LT(tiles.back(), kTiles);
      for (size_t i = 1; i < tiles.size(); ++i) EXPECT_LT(tiles[i - 1], tiles[i]);
    }
  }
}

TEST(RandomTiles, RefusesOtherCounts) {
  for (const int64_t top_k : {-1, 0, 10}) {
    EXPECT_NE(
        testing::error_of(ErrorKind::kUsage, [&] { random_tiles({}, 0, 9, top_k); }).find("1..9"),
        std::string::npos);
  }
}

TEST(RandomTiles, DependOnStepLayerBranchAndHeadAndNothingElse) {
  const SiteKey site{.branch = Branch::kConditional, .step = 4, .layer = 2};
  const auto tiles = [](const SiteKey& at, int64_t head) {
    return random_tiles(at, head, 40, 10).tiles;
  };
  const auto base = tiles(site, 1);
  SiteKey other = site;
  other.prompt = 7;
  EXPECT_EQ(tiles(other, 1), base);
  EXPECT_NE(tiles(site, 2), base);
  other = site;
  other.step = 5;
  EXPECT_NE(tiles(other, 1), base);
  other = site;
  other.layer = 4;
  EXPECT_NE(tiles(other, 1), base);
  other = site;
  other.branch = Branch::kUnconditional;
  EXPECT_NE(tiles(other, 1), base);
}

TEST(RandomTiles, EachPairOfTilesIsDrawnAsOftenAsAnyOther) {
  constexpr int64_t kTiles = 8, kKept = 3, kHeads = 500;
  std::vector<double> pairs(kTiles * kTiles, 0.0);
  for (int64_t head = 0; head < kHeads; ++head) {
    const TileLists lists = random_tiles({.step = 1}, head, kTiles, kKept);
    for (int64_t query = 0; query < kTiles; ++query) {
      for (const int32_t a : lists.of(query)) {
        for (const int32_t b : lists.of(query)) pairs[a * kTiles + b] += 1;
      }
    }
  }
  constexpr double kDraws = kTiles * kHeads;
  constexpr double kSingle = 3.0 / 8, kDouble = kSingle * 2.0 / 7;
  for (int64_t a = 0; a < kTiles; ++a) {
    for (int64_t b = 0; b < kTiles; ++b) {
      const double chance = a == b ? kSingle : kDouble;
      const double deviation = std::sqrt(kDraws * chance * (1 - chance));
      EXPECT_NEAR(pairs[a * kTiles + b], kDraws * chance, 5 * deviation) << a << ", " << b;
    }
  }
}

// Uniform attention: a tile holds its share of the keys, so that recall is what density is.
TEST(RandomTiles, RecallOfUniformAttentionIsTheShareOfTheTiles) {
  const TokenGrid grid{6, 10, 14};  // clipped on every axis
  testing::Qkv x = testing::random_qkv(1, 4, grid.tokens(), 8, 5);
  std::fill(x.q.begin(), x.q.end(), 0.0f);
  const int64_t num_tiles = TileGrid(grid, {4, 4, 4}).num_tiles();  // 24
  const PlanRule rule{.params = VsaParams{.top_k = num_tiles / 4, .choice = TileChoice::kRandom}};
  const std::vector<const PlanRule*> rules(x.heads, &rule);
  const double all_keys = std::log(static_cast<double>(grid.tokens()));
  std::vector<float> first_out;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    SparseExecutor executor({4, 4, 4}, Impl::kReference, pool);
    std::vector<float> out, lse(x.heads * x.tokens);
    const SparseRun run = executor.run(testing::make_call(x, grid, out), rules, lse.data());
    double recall = 0, density = 0;
    for (const float value : lse) recall += std::exp(value - all_keys) / std::size(lse);
    for (const double value : run.density) density += value / std::size(run.density);
    EXPECT_NEAR(recall, density, 1e-5);
    EXPECT_NEAR(recall, 0.25, 0.02);
    if (first_out.empty()) first_out = out;
    EXPECT_EQ(out, first_out);
  }
}

}  // namespace
}  // namespace sparsescope
