#include "sparse/vsa_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/rng.h"
#include "sparse/vsa_selector.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using Indices = std::vector<int32_t>;
using testing::lists_to_string;

Indices bisected(const std::vector<float>& scores, int64_t k) {
  std::vector<float> scratch;
  Indices best;
  append_bisected_top_k(scores, k, scratch, best);
  return best;
}

TEST(VsaRounding, TinyTiesAreAllKeptByTheHalvingsAlone) {
  const std::vector<float> row = {3, 0.003f, 0.003f, 0.003f, -3};
  EXPECT_EQ(top_k_tiles(row, 5, 2).tiles, (Indices{0, 1}));
  EXPECT_EQ(top_k_tiles(row, 5, 2, VsaRounding::kFastVideo).tiles, (Indices{0, 1, 2, 3}));
}

TEST(VsaRounding, OrdinaryRowsHoldExactlyKByLowestIndex) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(bisected({5, 5, 5, 5}, 2), (Indices{0, 1}));
  EXPECT_EQ(bisected({1, 7, 3, 7, 2}, 3), (Indices{1, 2, 3}));
  EXPECT_EQ(bisected({2, 1, 2, 1, 1, 3}, 4), (Indices{0, 1, 2, 5}));
  EXPECT_EQ(bisected({-inf, 1, -inf, 2}, 2), (Indices{1, 3}));
  EXPECT_EQ(bisected({-inf, 1, -inf, 2}, 3), (Indices{0, 1, 3}));
  EXPECT_EQ(bisected({-inf, -inf, -inf}, 2), (Indices{0, 1}));
}

TEST(VsaRounding, AgreesWithTheExactRuleOnRandomBf16Rows) {
  for (uint64_t row = 0; row < 50; ++row) {
    std::vector<float> scores(624), scratch;
    for (size_t j = 0; j < scores.size(); ++j) {
      scores[j] = bf16_to_float(float_to_bf16(static_cast<float>(normal(row, j))));
    }
    EXPECT_EQ(bisected(scores, 63), top_k_tiles(scores, 624, 63).tiles);
  }
}

TEST(VsaRounding, LongRowsTakeTheExactRule) {
  std::vector<float> scores(4097, 0.003f);
  scores[0] = 3;
  scores[1] = -3;
  EXPECT_EQ(bisected(scores, 2), (Indices{0, 2}));
  scores.pop_back();
  EXPECT_EQ(bisected(scores, 2).size(), 4095u);
}

TEST(VsaRounding, ScoresAreRoundedTwice) {
  // 1 + 2^-8 lies half way between bf16 numbers and goes to the even one.
  std::vector<float> dots = {1.00390625f, 1.01171875f, 100.3f};
  to_bf16_scores(dots, 64);
  EXPECT_EQ(dots, (std::vector<float>{0.125f, 1.015625f / 8, 100.5f / 8}));
  std::vector<float> odd = {1.0f};
  to_bf16_scores(odd, 2);
  EXPECT_EQ(odd[0], 0.70703125f);  // bf16 of 0.70710678
}

// Pools and scores of every tile against the same arithmetic in fp64 with roundings between.
TEST(VsaRounding, PoolsAndScoresOfACall) {
  const testing::Qkv x = testing::random_qkv(1, 1, 5 * 6 * 4, 64, 11);
  const TokenLayout layout = make_token_layout(TileGrid({5, 6, 4}, {4, 4, 4}), 0, 0);
  const int64_t num_tiles = layout.num_tiles();
  std::vector<float> scores(num_tiles * num_tiles);
  ThreadPool pool(2);
  const VsaHead heads[] = {{0, 0, 2}};
  const TileSelectorCall call{.q = x.view(x.q),
                              .k = x.view(x.k),
                              .scale = 0.125f,
                              .layout = &layout,
                              .scores = scores.data()};
  const TileLists lists = select_vsa(call, heads, pool, VsaRounding::kFastVideo)[0];
  const auto bf16 = [](double v) { return bf16_to_float(float_to_bf16(static_cast<float>(v))); };
  const auto pooled = [&](const std::vector<float>& values, int64_t tile, int64_t d) {
    float sum = 0;
    for (const int32_t token : layout.tokens_of(tile)) sum += bf16(values[token * 64 + d]);
    return bf16(sum / static_cast<float>(layout.tokens_of(tile).size()));
  };
  for (int64_t i = 0; i < num_tiles; ++i) {
    for (int64_t j = 0; j < num_tiles; ++j) {
      double dot = 0;
      for (int64_t d = 0; d < 64; ++d) dot += double{pooled(x.q, i, d)} * pooled(x.k, j, d);
      EXPECT_EQ(scores[i * num_tiles + j], bf16(bf16(dot) / 8)) << i << " " << j;
    }
    EXPECT_EQ(lists.of(i).size(), 2u);
  }
}

}  // namespace
}  // namespace sparsescope
