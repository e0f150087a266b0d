#include "sparse/bsa_kv_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// Rows of standard normal logits, [rows, num_tiles].
std::vector<float> normal_rows(int64_t rows, int64_t num_tiles) {
  std::vector<float> scores(rows * num_tiles);
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(normal(7, i));
  return scores;
}

double kept_fraction(std::span<const float> scores, int64_t num_tiles,
                     const BsaKvOptions& options) {
  return static_cast<double>(select_key_tiles(scores, num_tiles, options).tiles.size()) /
         static_cast<double>(scores.size());
}

// Mean over rows of the softmax mass on their lists.
double kept_mass(std::span<const float> scores, int64_t num_tiles, const TileLists& lists) {
  double kept = 0;
  for (int64_t i = 0; i < lists.num_rows(); ++i) {
    const auto row = scores.subspan(i * num_tiles, num_tiles);
    double inside = 0, total = 0;
    for (const float logit : row) total += std::exp(double{logit});
    for (const int32_t j : lists.of(i)) inside += std::exp(double{row[j]});
    kept += inside / total;
  }
  return kept / static_cast<double>(lists.num_rows());
}

// The published simulation at kappa 0.1: fractions kept by logit deviation and number of tiles.
TEST(BsaKvRules, FractionsAndMassOfNormalLogits) {
  struct Row {
    double deviation, gauss_prob, cdf, mass;
  };
  const std::pair<int64_t, std::vector<Row>> sizes[] = {{364,
                                                         {{0.5, 0.099, 0.78, 0.22},
                                                          {1, 0.073, 0.61, 0.39},
                                                          {2, 0.035, 0.25, 0.75},
                                                          {3, 0.019, 0.073, 0.93}}},
                                                        {2400,
                                                         {{0.5, 0.098, 0.78, 0.22},
                                                          {1, 0.070, 0.61, 0.39},
                                                          {2, 0.024, 0.24, 0.76},
                                                          {3, 0.010, 0.055, 0.95}}}};
  for (const auto& [num_tiles, table] : sizes) {
    const std::vector<float> logits = normal_rows(num_tiles == 364 ? 1500 : 240, num_tiles);
    for (const Row& expected : table) {
      std::vector<float> scores = logits;
      for (float& score : scores) score *= static_cast<float>(expected.deviation);
      const auto fraction = [&](BsaKvRule rule) {
        return kept_fraction(scores, num_tiles, {.rule = rule, .keep = 0.1, .min_blocks = 1});
      };
      EXPECT_NEAR(fraction(BsaKvRule::kGaussLogit), 0.1, 0.002);
      EXPECT_NEAR(fraction(BsaKvRule::kGaussLogitHead), 0.1, 0.002);
      EXPECT_NEAR(fraction(BsaKvRule::kTopK), 0.1, 0.002);
      EXPECT_NEAR(fraction(BsaKvRule::kGaussProb), expected.gauss_prob, 0.01);
      EXPECT_NEAR(fraction(BsaKvRule::kCdf), expected.cdf, 0.01);
      const TileLists lists = select_key_tiles(scores, num_tiles, {.keep = 0.1, .min_blocks = 1});
      EXPECT_NEAR(kept_mass(scores, num_tiles, lists), expected.mass, 0.015);
    }
  }
}

TEST(BsaKvRules, RowsWithoutNumbersKeepTheMinimumOrMore) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const BsaKvRule rule : {BsaKvRule::kGaussLogit, BsaKvRule::kGaussProb,
                               BsaKvRule::kGaussLogitHead, BsaKvRule::kCdf, BsaKvRule::kTopK}) {
    for (const std::vector<float>& row : {std::vector<float>{nan, nan, nan, nan, nan, nan},
                                          {-inf, -inf, -inf, -inf, -inf, -inf},
                                          {nan, 2, -inf, 1, nan, 3},
                                          {inf, 2, -inf, 1, inf, 3}}) {
      const BsaKvOptions options{.rule = rule, .keep = 0.1, .min_blocks = 2};
      const TileLists lists = select_key_tiles(row, 6, options);
      EXPECT_GE(lists.tiles.size(), 2u);
      EXPECT_LE(lists.tiles.size(), 6u);
      EXPECT_TRUE(std::is_sorted(lists.tiles.begin(), lists.tiles.end()));
    }
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
