// How many gates reach a sum, and which lie above a cut: what the threshold rule keeps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/row_stats_case.h"

namespace sparsescope::testing {
namespace {

class RowKeeps : public RowStats {};

TEST_P(RowKeeps, KeptEntriesByHand) {
  // Weights above 1 in halves: 6, 3, 2 and 0 (0.4 of a half counts nothing).
  const auto block = lane_zero({4.0f, 2.5f, 2.0f, 1.2f});
  const std::vector<float> lo(kL, 1.0f), scale(kL, 2.0f);
  std::vector<int64_t> sums(kL), counts(kL);
  kernels().weight_sums(block.data(), 4, lo.data(), scale.data(), sums.data());
  EXPECT_EQ(sums[0], 11);
  EXPECT_EQ(sums[1], -8);
  for (const auto& [target, count] : {std::pair{0, 0}, {1, 1}, {6, 1}, {7, 2}, {11, 3}, {12, 4}}) {
    const std::vector<int64_t> targets(kL, target);
    kernels().reach_counts(block.data(), 4, lo.data(), scale.data(), targets.data(), counts.data());
    EXPECT_EQ(counts[0], count) << target;
  }

  std::vector<uint64_t> above(4), equal(4);
  const std::vector<float> cut(kL, 2.0f);
  kernels().compare_bits(block.data(), 4, cut.data(), above.data(), equal.data());
  EXPECT_EQ(above, (std::vector<uint64_t>{1, 1, 0, 0}));
  EXPECT_EQ(equal, (std::vector<uint64_t>{0, 0, 1, 0}));
}

// -2 = 0xC0000000, -0, 0, 1 = 0x3F800000, 1.5 = 0x3FC00000 and infinity as ordered integers:
// 3FFFFFFF, 80000000 twice, BF800000, BFC00000, FF800000.
TEST_P(RowKeeps, DigitsByHand) {
  std::vector<float> gates(kL, kInf);
  const std::vector<float> few{-2.0f, -0.0f, 0.0f, 1.0f, 1.5f};
  std::copy(few.begin(), few.end(), gates.begin());
  const auto sums_of = [&](GateDigit digit) {
    std::vector<int64_t> sums(2 * kDigitPlaces);
    kernels().digit_sums(gates.data(), kL, digit, sums.data());
    for (int64_t i = 0; i < kDigitPlaces; ++i) sums[i] += sums[kDigitPlaces + i];
    return sums;
  };
  const auto counts = sums_of({.shift = 21, .bits = 11, .least = 1});
  EXPECT_EQ(counts[0x1ff], 1);
  EXPECT_EQ(counts[0x400], 2);
  EXPECT_EQ(counts[0x5fc], 1);
  EXPECT_EQ(counts[0x5fe], 1);
  const auto weights = sums_of({.shift = 10, .bits = 11, .prefix = 0x5fe, .lo = -2.0f, .scale = 4});
  EXPECT_EQ(weights[0], 14);
  EXPECT_EQ(std::accumulate(weights.begin(), weights.begin() + kDigitPlaces, int64_t{0}), 14);
  const auto last = sums_of({.shift = 0, .bits = 10, .prefix = 0x80000000U >> 10, .least = 3});
  EXPECT_EQ(last[0], 6);
}

TEST_P(RowKeeps, KeptEntriesAgreeWithTheReference) {
  for (const int64_t rows : {1, 7, 64}) {
    for (const auto& gates : {normals(rows * kL, 41), tied(rows, 43)}) {
      std::vector<float> lo(kL, -6.0f), scale(kL), cut(kL);
      std::vector<int64_t> target(kL);
      for (int64_t lane = 0; lane < kL; ++lane) {
        scale[lane] = std::ldexp(1.0f, static_cast<int>(lane % 27));
        target[lane] = static_cast<int64_t>(scale[lane] * 6.0f * static_cast<float>(lane % 9));
        cut[lane] = gates[lane];
      }
      const auto results = [&](const RowStatsKernels& table) {
        std::vector<int64_t> sums(kL), counts(kL), digits(2 * kDigitPlaces);
        std::vector<uint64_t> above(rows), equal(rows);
        table.weight_sums(gates.data(), rows, lo.data(), scale.data(), sums.data());
        table.reach_counts(gates.data(), rows, lo.data(), scale.data(), target.data(),
                           counts.data());
        table.compare_bits(gates.data(), rows, cut.data(), above.data(), equal.data());
        table.digit_sums(gates.data(), rows * kL,
                         {.shift = 21, .bits = 11, .lo = -6.0f, .scale = 1 << 20}, digits.data());
        for (int64_t i = 0; i < kDigitPlaces; ++i) digits[i] += digits[kDigitPlaces + i];
        digits.resize(kDigitPlaces);
        table.digit_sums(gates.data(), rows * kL,
                         {.shift = 10, .bits = 11, .prefix = 0x5fc, .least = 1}, digits.data());
        return std::tuple(sums, counts, digits, above, equal);
      };
      EXPECT_EQ(results(kernels()), results(reference())) << rows;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Impls, RowKeeps, ::testing::ValuesIn(available_impls()),
                         row_stats_test_name);

}  // namespace
}  // namespace sparsescope::testing
