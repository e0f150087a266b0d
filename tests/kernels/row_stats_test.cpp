// Row statistics: the reference against values worked out by hand, every instruction set against
// the reference on peaked and tied data.
#include "kernels/row_stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "core/row_groups.h"

namespace sparsescope {
namespace {

constexpr int64_t kL = kRowLanes;
constexpr float kInf = std::numeric_limits<float>::infinity();

// Positive and peaked: most values are small, a few are near 1.
std::vector<float> peaked(int64_t rows, uint64_t key) {
  std::vector<float> values(rows * kL);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::pow(uniform(key, i), 8.0));
  }
  return values;
}

std::vector<float> normals(int64_t count, uint64_t key) {
  std::vector<float> values(count);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(normal(key, i));
  return values;
}

// Few distinct values, so that every column holds ties.
std::vector<float> tied(int64_t rows, uint64_t key) {
  std::vector<float> values(rows * kL);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::floor(uniform(key, i) * 5.0)) - 2.0f;
  }
  return values;
}

template <typename T>
void expect_near(const std::vector<T>& found, const std::vector<T>& expected, double relative,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    const double slack = relative * std::max(1.0, std::abs(static_cast<double>(expected[i])));
    ASSERT_NEAR(found[i], expected[i], slack) << what << " at " << i;
  }
}

// A block whose lane 0 holds the given column and whose other lanes hold zero.
std::vector<float> lane_zero(const std::vector<float>& column) {
  std::vector<float> block(column.size() * kL);
  for (size_t r = 0; r < column.size(); ++r) block[r * kL] = column[r];
  return block;
}

class RowStats : public testing::TestWithParam<Impl> {
 protected:
  const RowStatsKernels& kernels() const { return row_stats_kernels(GetParam()); }
  const RowStatsKernels& reference() const { return row_stats_kernels(Impl::kReference); }
};

TEST_P(RowStats, SmallValuesByHand) {
  const auto block = lane_zero({1.0f, 2.0f, 4.0f});
  const std::vector<int32_t> target{1, 0, 1};
  std::vector<float> combined(2 * kL, -1.0f);
  kernels().combine(block.data(), target.data(), 3, 2, combined.data());
  EXPECT_EQ(combined[0], 2.0f);
  EXPECT_EQ(combined[kL], 5.0f);
  EXPECT_EQ(combined[1], 0.0f);

  const std::vector<int32_t> counts{1, 3};
  std::vector<float> prefix(2 * kL);
  kernels().prefix_sums(block.data(), counts.data(), 2, prefix.data());
  EXPECT_EQ(prefix[0], 1.0f);
  EXPECT_EQ(prefix[kL], 7.0f);

  const std::vector<float> mean{2.0f, 2.0f, 2.0f};
  std::vector<float> difference(kL);
  kernels().absolute_difference(block.data(), 3, mean.data(), 0, 1, difference.data());
  EXPECT_EQ(difference[0], 3.0f);

  std::vector<double> m1(kL), m2(kL), m3(kL), m4(kL);
  kernels().moments(lane_zero({0.0f, 0.0f, 0.0f, 4.0f}).data(), 4, m1.data(), m2.data(), m3.data(),
                    m4.data());
  EXPECT_DOUBLE_EQ(m1[0], 1.0);
  EXPECT_DOUBLE_EQ(m2[0], 3.0);   // (1 + 1 + 1 + 9) / 4
  EXPECT_DOUBLE_EQ(m3[0], 6.0);   // (-3 + 27) / 4
  EXPECT_DOUBLE_EQ(m4[0], 21.0);  // (3 + 81) / 4
}

TEST_P(RowStats, ThresholdSumsByHand) {
  const auto key = lane_zero({3.0f, 1.0f, 2.0f});
  const auto value = lane_zero({0.5f, 0.25f, 0.125f});
  const std::vector<float> size{4.0f, 2.0f, 1.0f};
  std::vector<float> values(kL), sizes(kL);
  const std::vector<float> lane_limit(kL, 2.0f);
  kernels().lane_threshold_sums(key.data(), value.data(), size.data(), 3, lane_limit.data(),
                                values.data(), sizes.data());
  EXPECT_EQ(values[0], 0.625f);  // keys 3 and 2: at the limit counts
  EXPECT_EQ(sizes[0], 5.0f);
}

TEST_P(RowStats, TauCodesByHand) {
  // Own gate 1, others 2, 1, 0: normalised 0.5 and 1, 0.5, 0 of a total of 2 (and 1e-6).
  const auto gate = lane_zero({kInf, 2.0f, 1.0f, 0.0f});
  const auto own = lane_zero({1.0f});
  std::vector<int32_t> code(4 * kL, -1);
  kernels().tau_codes({4, gate.data(), own.data(), 19, code.data()});
  EXPECT_EQ(code[0], 0);
  EXPECT_EQ(code[kL], 0);       // the best other block is always kept
  EXPECT_EQ(code[2 * kL], 14);  // 1.5 of 2 precede it: 0.75 * (2 + 1e-6) is more
  EXPECT_EQ(code[3 * kL], 19);  // all 2 precede it: 0.95 does not reach it
}

TEST_P(RowStats, EqualGatesAreKeptByEveryTau) {
  auto gate = lane_zero({kInf, 3.0f, 3.0f, 3.0f});
  const auto own = lane_zero({3.0f});
  std::vector<int32_t> code(4 * kL, -1);
  kernels().tau_codes({4, gate.data(), own.data(), 19, code.data()});
  for (int64_t r = 0; r < 4; ++r) EXPECT_EQ(code[r * kL], 0);
}

TEST_P(RowStats, GateBinsByHand) {
  // Four bins of width 2 over [-2, 6], fixed-point steps of a quarter.
  const GateBins bins{.first = -2.0f, .scale = 0.5f, .hi = 6.0f, .unit = 4.0f, .num_bins = 4};
  std::vector<float> gate(kL, kInf);
  gate[0] = -2.0f;
  gate[1] = -0.25f;
  gate[2] = 6.0f;
  gate[63] = 1.75f;
  std::vector<uint64_t> packed(5);
  kernels().gate_histogram(gate.data(), kL, bins, packed.data());
  std::vector<int64_t> sum(4, 100), count(4), other_sum(4), other_count(4, 7);
  kernels().unpack_bins(packed.data(), 4, sum.data(), count.data(), other_sum.data(),
                        other_count.data());
  EXPECT_EQ(count, (std::vector<int64_t>{2, 1, 0, 1}));
  EXPECT_EQ(other_count, (std::vector<int64_t>{9, 8, 7, 8}));
  const int64_t offset = kGateOffset;
  EXPECT_EQ(other_sum, (std::vector<int64_t>{2 * offset - 9, offset + 7, 0, offset + 24}));
  EXPECT_EQ(sum[0], 100 + 2 * offset - 9);
  EXPECT_EQ(packed, (std::vector<uint64_t>{0, 0, 0, 0, packed[4]}));

  const std::vector<uint8_t> code_of_bin{3, 128 + 3, 7, 128 + 9, 63};
  std::vector<uint8_t> code(kL);
  std::vector<int32_t> flagged(kL + 1);
  EXPECT_EQ(
      kernels().gate_codes(gate.data(), kL, bins, code_of_bin.data(), code.data(), flagged.data()),
      2);
  EXPECT_EQ(code[0], 3);
  EXPECT_EQ(code[1], 3);
  EXPECT_EQ(code[2], 128 + 9);
  EXPECT_EQ(code[63], 128 + 3);
  EXPECT_EQ(code[5], 63);
  EXPECT_EQ(flagged[0], 2);
  EXPECT_EQ(flagged[1], 63);
}

TEST_P(RowStats, FiniteRangeLeavesOutInfinity) {
  for (const int64_t count : {1, 15, 64, 83}) {
    auto gate = normals(count, 600 + count);
    FiniteRange found, expected;
    if (count > 2) gate[2] = gate[count - 1] = kInf;
    kernels().finite_range(gate.data(), count, &found);
    reference().finite_range(gate.data(), count, &expected);
    EXPECT_EQ(found.lo, expected.lo);
    EXPECT_EQ(found.hi, expected.hi);
    EXPECT_LT(found.hi, kInf);
    EXPECT_NEAR(found.sum, expected.sum, 1e-4);
    EXPECT_NEAR(found.squares, expected.squares, 1e-4);
  }
}

TEST_P(RowStats, TransposesAndAddsRows) {
  for (const int64_t depth : {1, 8, 16, 77}) {
    for (const int64_t rows : {1, 5, 16, 63, 64}) {
      const auto data = normals(rows * depth, 700 + depth);
      std::vector<const float*> row;
      for (int64_t i = 0; i < rows; ++i) row.push_back(&data[i * depth]);
      std::vector<float> found(depth * kL, -1.0f), expected(depth * kL);
      kernels().transpose(row.data(), rows, depth, found.data());
      reference().transpose(row.data(), rows, depth, expected.data());
      EXPECT_EQ(found, expected);
      EXPECT_EQ(found[rows - 1], data[(rows - 1) * depth]);
      std::vector<double> sums(depth, 0.5), expected_sums(depth, 0.5);
      kernels().add_rows(row.data(), rows, depth, sums.data());
      reference().add_rows(row.data(), rows, depth, expected_sums.data());
      EXPECT_EQ(sums, expected_sums);
    }
  }
}

TEST_P(RowStats, SortsEveryColumn) {
  for (const int64_t rows : {16, 32, 64, 128, 256, 512}) {
    auto found = peaked(rows, 3 + rows);
    const auto original = found;
    kernels().sort_columns(found.data(), rows);
    for (int64_t lane = 0; lane < kL; ++lane) {
      std::vector<float> column(rows);
      for (int64_t r = 0; r < rows; ++r) column[r] = original[r * kL + lane];
      std::sort(column.begin(), column.end(), std::greater<float>());
      for (int64_t r = 0; r < rows; ++r) ASSERT_EQ(found[r * kL + lane], column[r]) << rows;
    }
  }
}

TEST_P(RowStats, RanksBreakTiesByRow) {
  for (const int64_t rows : {1, 2, 3, 4, 7, 8, 16, 23, 64, 128, 256, 500}) {
    const auto padded = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
    const int64_t stride = kL + 16;
    std::vector<float> original = tied(rows * stride / kL + 1, 7 + rows);
    std::vector<float> key(padded * kL);
    std::vector<int32_t> index(padded * kL);
    kernels().rank_columns(original.data(), stride, rows, padded, key.data(), index.data());
    for (int64_t lane = 0; lane < kL; ++lane) {
      std::vector<int32_t> expected(rows);
      for (int64_t r = 0; r < rows; ++r) expected[r] = static_cast<int32_t>(r);
      std::stable_sort(expected.begin(), expected.end(), [&](int32_t a, int32_t b) {
        return original[a * stride + lane] > original[b * stride + lane];
      });
      for (int64_t r = 0; r < rows; ++r) {
        ASSERT_EQ(index[r * kL + lane], expected[r]) << rows;
        ASSERT_EQ(key[r * kL + lane], original[expected[r] * stride + lane]) << rows;
      }
      for (int64_t r = rows; r < padded; ++r) ASSERT_EQ(key[r * kL + lane], -kInf) << rows;
    }
    std::vector<float> gathered(rows * kL), packed(rows * kL);
    for (int64_t i = 0; i < rows * kL; ++i) packed[i] = original[i / kL * stride + i % kL];
    kernels().gather(packed.data(), index.data(), rows, gathered.data());
    EXPECT_TRUE(std::equal(gathered.begin(), gathered.end(), key.begin()));
  }
}

TEST_P(RowStats, SumsAgreeWithTheReference) {
  for (const int64_t rows : {1, 5, 13, 64, 97}) {
    const auto data = peaked(rows, 100 + rows);
    std::vector<float> weight(kL);
    for (int64_t lane = 0; lane < kL; ++lane) weight[lane] = lane % 3 == 0 ? 0.0f : 1.0f;
    std::vector<double> sums(rows), expected_sums(rows);
    kernels().weighted_sums(data.data(), rows, weight.data(), sums.data());
    reference().weighted_sums(data.data(), rows, weight.data(), expected_sums.data());
    expect_near(sums, expected_sums, 2e-6, "weighted sums");

    std::vector<int32_t> target(rows), counts(rows);
    for (int64_t r = 0; r < rows; ++r) {
      target[r] = static_cast<int32_t>(r * 7 % 3);
      counts[r] = static_cast<int32_t>(r + 1);
    }
    std::vector<float> found(3 * kL), expected(3 * kL);
    kernels().combine(data.data(), target.data(), rows, 3, found.data());
    reference().combine(data.data(), target.data(), rows, 3, expected.data());
    expect_near(found, expected, 2e-6, "combine");

    std::vector<float> prefix(rows * kL), expected_prefix(rows * kL);
    kernels().prefix_sums(data.data(), counts.data(), rows, prefix.data());
    reference().prefix_sums(data.data(), counts.data(), rows, expected_prefix.data());
    expect_near(prefix, expected_prefix, 2e-6, "prefix sums");

    const auto mean = normals(rows, 200 + rows);
    std::vector<float> difference(kL), expected_difference(kL);
    kernels().absolute_difference(data.data(), rows, mean.data(), 5, 30, difference.data());
    reference().absolute_difference(data.data(), rows, mean.data(), 5, 30,
                                    expected_difference.data());
    for (int lane = 5; lane < 35; ++lane) {
      EXPECT_NEAR(difference[lane], expected_difference[lane],
                  2e-6 * (1 + expected_difference[lane]));
    }
  }
}

TEST_P(RowStats, ProductsAgreeWithTheReference) {
  for (const int64_t rows : {1, 6, 7, 23}) {
    for (const int64_t depth : {1, 16, 77}) {
      const auto left = normals(rows * depth, 300 + rows);
      const auto columns = normals(depth * kL, 400 + depth);
      const int64_t stride = kL + 16;
      std::vector<float> found(rows * stride), expected(rows * stride);
      kernels().products(left.data(), rows, depth, columns.data(), found.data(), stride);
      reference().products(left.data(), rows, depth, columns.data(), expected.data(), stride);
      expect_near(found, expected, 1e-5, "products");
    }
  }
}

TEST_P(RowStats, RulesAgreeWithTheReference) {
  const int64_t rows = 37;
  const int32_t taus = 19;
  auto gate = tied(rows, 500);
  for (int64_t lane = 0; lane < kL; ++lane) {  // descending columns, as the rule expects
    std::vector<float> column(rows);
    for (int64_t r = 0; r < rows; ++r) column[r] = gate[r * kL + lane];
    std::sort(column.begin(), column.end(), std::greater<float>());
    for (int64_t r = 0; r < rows; ++r) gate[r * kL + lane] = column[r];
  }
  const auto mass = peaked(rows, 501), size = peaked(rows, 502);
  const auto own = normals(kL, 503);
  const auto codes = [&](const RowStatsKernels& table) {
    std::vector<int32_t> code(rows * kL);
    table.tau_codes({rows, gate.data(), own.data(), taus, code.data()});
    return code;
  };
  EXPECT_EQ(codes(kernels()), codes(reference()));

  std::vector<float> limits(kL);
  for (int64_t lane = 0; lane < kL; ++lane) limits[lane] = static_cast<float>(lane % 6) - 3.0f;
  std::vector<float> sums(2 * kL), expected(2 * kL);
  const auto threshold_sums = [&](const RowStatsKernels& table, std::vector<float>& out) {
    table.lane_threshold_sums(gate.data(), mass.data(), size.data(), rows, limits.data(),
                              out.data(), out.data() + kL);
  };
  threshold_sums(kernels(), sums);
  threshold_sums(reference(), expected);
  expect_near(sums, expected, 2e-6, "lane thresholds");

  const auto scores = normals(rows * kL, 504);
  std::vector<double> found(4 * kL), wanted(4 * kL);
  kernels().moments(scores.data(), rows, &found[0], &found[kL], &found[2 * kL], &found[3 * kL]);
  reference().moments(scores.data(), rows, &wanted[0], &wanted[kL], &wanted[2 * kL],
                      &wanted[3 * kL]);
  expect_near(found, wanted, 1e-12, "moments");
}

TEST_P(RowStats, PackedSumsAgreeWithTheReference) {
  const int64_t rows = 23, lanes = 61, stride = 2 * kL;
  const auto mass = peaked(rows, 800);
  const auto weight = normals(kL, 801);
  std::vector<float> positive(weight);
  for (float& w : positive) w = std::abs(w);
  std::vector<uint8_t> code(rows * stride);
  std::vector<int32_t> tau_code(rows * kL), index(rows * kL);
  for (size_t i = 0; i < code.size(); ++i) {
    code[i] = static_cast<uint8_t>(uniform(802, i) * kPoolCodes);
  }
  for (size_t i = 0; i < index.size(); ++i) {
    tau_code[i] = static_cast<int32_t>(uniform(803, i) * 20);
    index[i] = static_cast<int32_t>(uniform(804, i) * rows);
  }
  const auto run = [&](const RowStatsKernels& table) {
    std::vector<uint64_t> packed(rows * kL), result(rows * kPoolCodes + rows + 32);
    table.pack_masses(mass.data(), rows, positive.data(), packed.data());
    uint64_t* ranked = result.data() + rows * kPoolCodes;
    table.code_sums(code.data(), stride, packed.data(), rows, lanes, result.data());
    table.ranked_sums(tau_code.data(), index.data(), packed.data(), rows, lanes, ranked,
                      ranked + rows);
    return result;
  };
  const auto found = run(kernels());
  EXPECT_EQ(found, run(reference()));
  uint64_t entries = 0;
  for (int64_t i = 0; i < rows * kPoolCodes; ++i) entries += found[i] >> kCountShift;
  EXPECT_EQ(entries, static_cast<uint64_t>(rows * lanes));
}

TEST_P(RowStats, KeptEntriesByHand) {
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
TEST_P(RowStats, DigitsByHand) {
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

TEST_P(RowStats, KeptEntriesAgreeWithTheReference) {
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

INSTANTIATE_TEST_SUITE_P(Impls, RowStats, testing::ValuesIn(available_impls()),
                         [](const auto& param_info) {
                           std::string name(impl_name(param_info.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace sparsescope
