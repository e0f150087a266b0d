// The preset fastvideo against an implementation of its own, and the pairs that BSA computes at the
// published lengths.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sparse/bsa_selector.h"
#include "sparse/head_lists.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::Qkv;

std::vector<int32_t> bottom_half(const std::vector<double>& similarity) {
  std::vector<int32_t> slots(similarity.size());
  std::iota(slots.begin(), slots.end(), 0);
  std::stable_sort(slots.begin(), slots.end(),
                   [&](int32_t a, int32_t b) { return similarity[a] < similarity[b]; });
  slots.resize(similarity.size() / 2);
  std::sort(slots.begin(), slots.end());
  return slots;
}

int32_t nearest(int32_t slot, const std::vector<int32_t>& kept) {
  return *std::min_element(kept.begin(), kept.end(), [&](int32_t a, int32_t b) {
    return std::abs(a - slot) < std::abs(b - slot);
  });
}

// Tiles by descending probability until 0.9 is passed, four at least.
std::vector<int32_t> cumulative_list(const std::vector<double>& logits) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  double total = 0, before = 0;
  for (const double logit : logits) total += std::exp(logit);
  std::vector<int32_t> list;
  for (const int32_t j : order) {
    if (before >= 0.9 * total && list.size() >= 4) break;
    list.push_back(j);
    before += std::exp(logits[j]);
  }
  std::sort(list.begin(), list.end());
  return list;
}

TEST(BsaPreset, FastvideoAgainstItsDefinition) {
  constexpr int64_t kHeadDim = 16;
  const Qkv x = testing::random_qkv(1, 1, 8 * 8 * 12, kHeadDim, 33);
  const TokenLayout layout = make_token_layout(TileGrid({8, 8, 12}, {4, 4, 4}), 0, 0);
  const int64_t num_tiles = layout.num_tiles();
  const BsaSelection found =
      testing::select_bsa_head({x.view(x.q), x.view(x.k), 0.25f, &layout, Impl::kReference}, 0, 0,
                               bsa_fastvideo_options({4, 4, 4}));
  const auto q = [&](int32_t token, int64_t d) { return double{x.q[token * kHeadDim + d]}; };
  const auto cosine = [&](int32_t a, int32_t b) {
    double dot = 0, aa = 0, bb = 0;
    for (int64_t d = 0; d < kHeadDim; ++d) {
      dot += q(a, d) * q(b, d);
      aa += q(a, d) * q(a, d);
      bb += q(b, d) * q(b, d);
    }
    return dot / std::sqrt(aa * bb);
  };
  for (int64_t i = 0; i < num_tiles; ++i) {
    const auto tokens = layout.tokens_of(i);
    std::vector<double> similarity;
    for (const int32_t token : tokens) similarity.push_back(cosine(token, tokens[32]));
    const std::vector<int32_t> kept = bottom_half(similarity);
    EXPECT_TRUE(std::ranges::equal(found.kept.of(i), kept));
    EXPECT_FALSE(std::binary_search(kept.begin(), kept.end(), 32));
    for (int32_t slot = 0; slot < 64; ++slot) {
      EXPECT_EQ(found.restore_from[tokens[slot]], tokens[nearest(slot, kept)]);
    }
    std::vector<double> logits;
    for (int64_t j = 0; j < num_tiles; ++j) {
      double logit = 0;
      for (int64_t d = 0; d < kHeadDim; ++d) {
        double q_mean = 0, k_mean = 0;
        for (const int32_t slot : kept) q_mean += q(tokens[slot], d) / 32;
        for (const int32_t token : layout.tokens_of(j)) {
          k_mean += double{x.k[token * kHeadDim + d]} / 64;
        }
        logit += 0.25 * q_mean * k_mean;
      }
      logits.push_back(logit);
    }
    EXPECT_TRUE(std::ranges::equal(found.lists.of(i), cumulative_list(logits)));
  }
}

// Half of the queries against the published shares of the key tiles: 14.3 and 20.0 times fewer
// pairs than dense.
TEST(BsaPreset, PairsComputedAtThePublishedLengths) {
  struct Length {
    TokenGrid grid;
    double kappa, ratio;
  };
  for (const Length& length :
       {Length{{16, 28, 52}, 0.14, 14.3}, Length{{40, 48, 80}, 0.10, 20.0}}) {
    const TokenLayout layout = make_token_layout(TileGrid(length.grid, {4, 4, 4}), 0, 0);
    const int64_t num_tiles = layout.num_tiles();
    BsaSelection selection;
    for (int64_t i = 0; i < num_tiles; ++i) {
      for (int32_t slot = 0; slot < 64; slot += 2) selection.kept.tiles.push_back(slot);
      selection.kept.end_row();
      for (int64_t j = 0; j < std::llround(length.kappa * static_cast<double>(num_tiles)); ++j) {
        selection.lists.tiles.push_back(static_cast<int32_t>(j));
      }
      selection.lists.end_row();
    }
    const HeadLists head = bsa_head_lists(layout, selection, 0, 0);
    const double density = join_lists(layout, {&head, 1}).density(1, 1, layout.tokens())[0];
    EXPECT_NEAR(1.0 / density, length.ratio, 0.05);
  }
}

}  // namespace
}  // namespace sparsescope
