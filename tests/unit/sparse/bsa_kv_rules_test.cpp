#include "sparse/bsa_kv_rules.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "capture/gaussian_cut.h"
#include "core/rng.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::lists_to_string;

TEST(BsaKvRules, QuantilesOfTheNormalDistribution) {
  const std::vector<std::pair<double, double>> table = {
      {0.50, 0},      {0.40, 0.2533}, {0.30, 0.5244}, {0.25, 0.6745},
      {0.20, 0.8416}, {0.15, 1.0364}, {0.14, 1.0803}, {0.125, 1.1503},
      {0.11, 1.2265}, {0.10, 1.2816}, {0.07, 1.4758}, {0.05, 1.6449}};
  for (const auto& [kappa, z] : table) EXPECT_NEAR(gaussian_cut(kappa), z, 5e-5) << kappa;
  EXPECT_EQ(gaussian_cut(1.0), -std::numeric_limits<double>::infinity());
}

TEST(BsaKvRules, CutoffIsMeanPlusDeviationTimesQuantile) {
  const std::vector<float> row = {1, 2, 3, 6};  // mean 3, population variance 3.5
  EXPECT_NEAR(gaussian_cutoff(row, gaussian_cut(0.5)), 3.0, 1e-12);
  EXPECT_NEAR(gaussian_cutoff(row, gaussian_cut(0.1)), 3.0 + std::sqrt(3.5) * 1.2815515655446004,
              1e-10);
  EXPECT_EQ(gaussian_cutoff(row, gaussian_cut(1.0)), -std::numeric_limits<double>::infinity());
}

TEST(BsaKvRules, ConstantRowsAndFullFractionKeepAll) {
  const std::vector<float> constant(9, 0.1f);
  EXPECT_EQ(lists_to_string(select_key_tiles(constant, 3, {.keep = 0.1, .min_blocks = 1})),
            "012/012/012");
  const std::vector<float> scores = {1, 2, 3, -4, 5, 6, 7, 8, 9};
  EXPECT_EQ(lists_to_string(select_key_tiles(scores, 3, {.keep = 1.0, .min_blocks = 1})),
            "012/012/012");
}

TEST(BsaKvRules, BimodalRowsKeepTheMinimum) {
  // Half of the tiles at 0 and half at 1: the largest z-score is 1, below Phi^-1(0.9).
  std::vector<float> scores;
  for (int i = 0; i < 64; ++i) scores.push_back(i % 2 ? 1.0f : 0.0f);
  for (int64_t min_blocks : {1, 3}) {
    const TileLists lists = select_key_tiles(scores, 8, {.keep = 0.1, .min_blocks = min_blocks});
    EXPECT_EQ(lists_to_string(lists).substr(0, min_blocks), min_blocks == 1 ? "1" : "135");
    EXPECT_EQ(static_cast<int64_t>(lists.tiles.size()), 8 * min_blocks);
  }
  EXPECT_EQ(select_key_tiles(scores, 8, {.keep = 0.1, .min_blocks = 99}).tiles.size(), 64u);
}

TEST(BsaKvRules, GaussianRowsKeepTheirFraction) {
  for (const auto& [num_tiles, tolerance] :
       {std::pair<int64_t, double>{364, 0.002}, {1000, 0.002}}) {
    std::vector<float> scores(num_tiles * num_tiles);
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(2 * normal(7, i));
    for (const BsaKvRule rule : {BsaKvRule::kGaussLogit, BsaKvRule::kGaussLogitHead}) {
      const TileLists lists =
          select_key_tiles(scores, num_tiles, {.rule = rule, .keep = 0.1, .min_blocks = 1});
      EXPECT_NEAR(static_cast<double>(lists.tiles.size()) / static_cast<double>(scores.size()), 0.1,
                  tolerance);
    }
  }
}

TEST(BsaKvRules, FractionsOfTheProbabilityRules) {
  // Published simulation, N = 364: kept fractions of gauss_prob and cdf 0.9 by logit deviation.
  const std::vector<std::array<double, 3>> table = {
      {0.5, 0.099, 0.78}, {1, 0.073, 0.61}, {2, 0.035, 0.25}, {3, 0.019, 0.073}};
  constexpr int64_t kTiles = 364;
  for (const auto& [deviation, gauss_prob, cdf] : table) {
    std::vector<float> scores(kTiles * kTiles);
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = static_cast<float>(deviation * normal(8, i));
    }
    const auto fraction = [&](const BsaKvOptions& options) {
      return static_cast<double>(select_key_tiles(scores, kTiles, options).tiles.size()) /
             static_cast<double>(scores.size());
    };
    EXPECT_NEAR(fraction({.rule = BsaKvRule::kGaussProb, .keep = 0.1, .min_blocks = 1}), gauss_prob,
                0.01);
    EXPECT_NEAR(fraction({.rule = BsaKvRule::kCdf, .mass = 0.9, .min_blocks = 1}), cdf, 0.01);
  }
}

TEST(BsaKvRules, TheCrossingTileIsIncluded) {
  // Probabilities 0.5, 0.25, 0.15, 0.1.
  std::vector<float> row;
  for (const double p : {0.25, 0.5, 0.1, 0.15}) row.push_back(static_cast<float>(std::log(p)));
  std::vector<float> scores;
  for (int i = 0; i < 4; ++i) scores.insert(scores.end(), row.begin(), row.end());
  const auto list = [&](double mass, int64_t min_blocks) {
    return lists_to_string(
               select_key_tiles(scores, 4,
                                {.rule = BsaKvRule::kCdf, .mass = mass, .min_blocks = min_blocks}))
        .substr(0, 4);
  };
  EXPECT_EQ(list(0.4, 1), "1/1/");
  EXPECT_EQ(list(0.6, 1), "01/0");
  EXPECT_EQ(list(0.8, 1), "013/");
  EXPECT_EQ(list(0.95, 1), "0123");
  EXPECT_EQ(list(0.4, 3), "013/");
}

TEST(BsaKvRules, TopKByFraction) {
  const std::vector<float> scores = {4, 1, 3, 3, 0, 1, 2, 3, 5, 5, 5, 5, 1, 1, 2, 0};
  EXPECT_EQ(lists_to_string(select_key_tiles(
                scores, 4, {.rule = BsaKvRule::kTopK, .keep = 0.26, .min_blocks = 1})),
            "02/23/01/02");
}

}  // namespace
}  // namespace sparsescope
