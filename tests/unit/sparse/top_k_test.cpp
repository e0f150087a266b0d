#include "sparse/top_k.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/rng.h"

namespace sparsescope {
namespace {

std::vector<int32_t> top_k(const std::vector<float>& scores, int64_t k) {
  std::vector<float> scratch;
  std::vector<int32_t> best;
  append_top_k(scores, k, scratch, best);
  return best;
}

TEST(TopK, KeepsExactlyKAndPrefersLowerIndices) {
  using Indices = std::vector<int32_t>;
  EXPECT_EQ(top_k({5, 5, 5, 5}, 2), (Indices{0, 1}));
  EXPECT_EQ(top_k({1, 7, 3, 7, 2}, 2), (Indices{1, 3}));
  EXPECT_EQ(top_k({1, 7, 3, 7, 2}, 1), (Indices{1}));
  EXPECT_EQ(top_k({2, 1, 2, 1, 1, 3}, 4), (Indices{0, 1, 2, 5}));
  EXPECT_EQ(top_k({3, 0.003f, 0.003f, 0.003f, -3}, 2), (Indices{0, 1}));
  EXPECT_EQ(top_k({1, 2}, 5), (Indices{0, 1}));
}

TEST(TopK, InfinityAndNanStillGiveExactlyK) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(top_k({-inf, -inf, -inf}, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(top_k({nan, 1, nan, 2}, 3), (std::vector<int32_t>{0, 1, 3}));
}

// Against the definition: score descending, then index, for rows of any length, with ties, both
// zeros, infinities and values that differ by a bit.
TEST(TopK, AgreesWithASort) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> special = {0.0f,    -0.0f, inf,    -inf, 1e-45f,
                                      -1e-45f, 3e38f, -3e38f, 1.0f, std::nextafter(1.0f, 2.0f)};
  for (const int64_t count : {1, 2, 17, 100, 321}) {
    for (uint64_t kind = 0; kind < 4; ++kind) {
      std::vector<float> scores(count);
      for (int64_t j = 0; j < count; ++j) {
        const double x = normal(kind, j);
        if (kind == 0) scores[j] = static_cast<float>(x);
        if (kind == 1) scores[j] = static_cast<float>(std::round(2 * x));
        if (kind == 2) scores[j] = static_cast<float>(std::exp(20 * x));
        if (kind == 3) scores[j] = special[static_cast<size_t>(std::abs(100 * x)) % special.size()];
      }
      std::vector<int32_t> order(count);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
      for (const int64_t k : {int64_t{1}, count / 3, count / 2, count - 1, count}) {
        if (k < 1) continue;
        std::vector<int32_t> best(order.begin(), order.begin() + k);
        std::sort(best.begin(), best.end());
        EXPECT_EQ(top_k(scores, k), best) << count << " " << kind << " " << k;
      }
    }
  }
}

TEST(TopK, CountFromSparsityInDoubleArithmetic) {
  const std::array<int64_t, 8> tiles = {256, 364, 455, 624, 768, 1200, 1440, 2400};
  const std::vector<std::pair<double, std::array<int64_t, 8>>> table = {
      {0.5, {128, 182, 228, 312, 384, 600, 720, 1200}},
      {0.6, {103, 146, 182, 250, 308, 480, 576, 960}},
      {0.7, {77, 110, 137, 188, 231, 361, 433, 721}},
      {0.8, {52, 73, 91, 125, 154, 240, 288, 480}},
      {0.85, {39, 55, 69, 94, 116, 181, 217, 361}},
      {0.875, {32, 46, 57, 78, 96, 150, 180, 300}},
      {0.9, {26, 37, 46, 63, 77, 120, 144, 240}},
      {0.95, {13, 19, 23, 32, 39, 61, 73, 121}},
      {0.97, {8, 11, 14, 19, 24, 37, 44, 73}}};
  for (const auto& [sparsity, kept] : table) {
    for (size_t i = 0; i < tiles.size(); ++i) {
      EXPECT_EQ(top_k_from_sparsity(sparsity, tiles[i]), kept[i]) << sparsity << " " << tiles[i];
    }
  }
  EXPECT_EQ(top_k_from_sparsity(1.0, 624), 1);
  EXPECT_EQ(top_k_from_sparsity(0.0, 624), 624);
  EXPECT_EQ(top_k_from_sparsity(0.85, 40), 7);  // 0.15 * 40 lies above 6 in binary
}

}  // namespace
}  // namespace sparsescope
