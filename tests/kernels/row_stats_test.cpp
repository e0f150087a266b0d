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

// Sums of rank_entries over the lanes of a block.
struct Ranked {
  std::vector<RankedSum> by_rank, by_code;

  Ranked(const RowStatsKernels& kernels, const std::vector<float>& gate, int64_t stride,
         const std::vector<float>& own, const std::vector<uint64_t>& packed, int64_t lanes)
      : by_rank(packed.size() / kL), by_code(20) {
    const int64_t rows = std::ssize(by_rank);
    const auto padded = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
    std::vector<double> sorted(padded * kMaxRankColumns);
    std::vector<int32_t> code(rows * kMaxRankColumns);
    std::vector<uint64_t> rank_sums(rows * kMaxRankColumns);
    kernels.rank_entries({.rows = rows,
                          .padded = padded,
                          .gate = gate.data(),
                          .stride = stride,
                          .own = own.data(),
                          .packed = packed.data(),
                          .lanes = lanes,
                          .num_taus = 19,
                          .sorted = sorted.data(),
                          .code = code.data(),
                          .rank_sums = rank_sums.data(),
                          .by_rank = by_rank.data(),
                          .by_code = by_code.data()});
  }
};

// Packed masses 1, 2, 4, ... units by row.
std::vector<uint64_t> powers_of_two(int64_t rows) {
  std::vector<uint64_t> packed(rows * kL, kPackedOne);
  for (int64_t i = 0; i < rows * kL; ++i) packed[i] += uint64_t{1} << (i / kL);
  return packed;
}

void expect_sum(const RankedSum& sum, uint64_t mass, uint64_t last, uint64_t entries) {
  EXPECT_EQ(sum.mass, mass);
  EXPECT_EQ(sum.last, last);
  EXPECT_EQ(sum.entries, entries);
}

TEST_P(RowStats, RankedEntriesByHand) {
  // Own gate 1, others 1, 0, 2: normalised 0.5 and 0.5, 0, 1 of a total of 2 (and 1e-6).
  const auto gate = lane_zero({1.0f, kInf, 0.0f, 2.0f});
  const Ranked found(kernels(), gate, kL, lane_zero({1.0f}), powers_of_two(4), 1);
  expect_sum(found.by_rank[0], 2, 0, 1);
  expect_sum(found.by_rank[1], 8, 1, 1);
  expect_sum(found.by_rank[2], 1, 0, 1);
  expect_sum(found.by_rank[3], 4, 0, 1);
  expect_sum(found.by_code[0], 10, 1, 2);  // the own block and the best other one are always kept
  expect_sum(found.by_code[14], 1, 0, 1);  // 1.5 of 2 precede it: 0.75 * (2 + 1e-6) is more
  expect_sum(found.by_code[19], 4, 0, 1);  // all 2 precede it: 0.95 does not reach it
}

TEST_P(RowStats, EqualGatesRankByBlockAndAreKeptByEveryTau) {
  const auto gate = lane_zero({3.0f, 3.0f, kInf, 3.0f});
  const Ranked found(kernels(), gate, kL, lane_zero({3.0f}), powers_of_two(4), 1);
  for (const auto& [rank, mass] : {std::pair{0, 4}, {1, 1}, {2, 2}, {3, 8}}) {
    EXPECT_EQ(found.by_rank[rank].mass, static_cast<uint64_t>(mass));
  }
  expect_sum(found.by_code[0], 15, 1, 4);
}

TEST_P(RowStats, RankedEntriesAgreeWithTheReference) {
  for (const int64_t rows : {1, 2, 3, 8, 23, 32, 70}) {
    for (const int64_t lanes : {1, 61, 64}) {
      for (const bool ties : {false, true}) {
        const int64_t stride = kL + 16;
        auto gate = ties ? tied(rows * 2, 810 + rows) : normals(rows * stride, 820 + rows);
        for (int64_t lane = 0; lane < kL; ++lane) gate[lane * 7 % rows * stride + lane] = kInf;
        std::vector<uint64_t> packed(rows * kL);
        kernels().pack_masses(peaked(rows, 830).data(), rows, packed.data());
        const auto own = ties ? tied(1, 840) : normals(kL, 840);
        const Ranked found(kernels(), gate, stride, own, packed, lanes);
        const Ranked expected(reference(), gate, stride, own, packed, lanes);
        for (int64_t r = 0; r < rows; ++r) {
          const RankedSum& sum = expected.by_rank[r];
          expect_sum(found.by_rank[r], sum.mass, sum.last, sum.entries);
        }
        for (int64_t i = 0; i < 20; ++i) {
          const RankedSum& sum = expected.by_code[i];
          expect_sum(found.by_code[i], sum.mass, sum.last, sum.entries);
        }
      }
    }
  }
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

  std::vector<uint32_t> set(kMaxGateBins / 32);
  set[0] = 0b1010;  // the bins 1 and 3
  std::vector<float> selected(kL + 16);
  EXPECT_EQ(kernels().select_bins(gate.data(), kL, bins, set.data(), selected.data()), 2);
  EXPECT_EQ(selected[0], 6.0f);
  EXPECT_EQ(selected[1], 1.75f);
}

TEST_P(RowStats, SelectedBinsAgreeWithTheReference) {
  const GateBins bins{.first = -2.0f, .scale = 256.0f, .hi = 9.0f, .num_bins = 1024};
  auto gate = normals(256, 900);
  gate[3] = gate[200] = kInf;
  std::vector<uint32_t> set(kMaxGateBins / 32);
  for (size_t i = 0; i < set.size(); ++i) {
    set[i] = static_cast<uint32_t>(uniform(901, i) * 4294967296.0);
  }
  std::vector<float> found(256 + 16), expected(256 + 16);
  const int64_t count = kernels().select_bins(gate.data(), 256, bins, set.data(), found.data());
  ASSERT_EQ(reference().select_bins(gate.data(), 256, bins, set.data(), expected.data()), count);
  EXPECT_TRUE(std::equal(found.begin(), found.begin() + count, expected.begin()));
  EXPECT_GT(count, 64);
}

TEST_P(RowStats, PoolCodesCountTheLimitsNotAbove) {
  // Limits 0 .. 62 in the order of a search tree.
  std::vector<float> limits(2 * kPoolCodes, kInf);
  for (int32_t node = 1; node < 64; ++node) {
    const int32_t level = static_cast<int32_t>(std::bit_floor(static_cast<uint32_t>(node)));
    limits[kPoolCodes + node] = static_cast<float>((2 * (node - level) + 1) * 32 / level - 1);
  }
  const int64_t stride = kL + 16;
  std::vector<float> gate(2 * stride);
  for (int64_t lane = 0; lane < kL; ++lane) {
    gate[stride + lane] = static_cast<float>(lane) - 0.5f * static_cast<float>(lane % 2);
  }
  gate[stride + 7] = kInf;
  gate[stride + 8] = -1.0f;
  std::vector<uint8_t> code(2 * kL, 255);
  kernels().pool_codes(gate.data(), stride, 2, limits.data(), code.data());
  for (int64_t lane = 0; lane < kL; ++lane) {
    EXPECT_EQ(code[lane], 0);
    const int64_t expected = lane == 7 ? 63 : lane == 8 ? 0 : lane % 2 == 0 ? lane + 1 : lane;
    EXPECT_EQ(code[kL + lane], std::min<int64_t>(expected, 63)) << lane;
  }
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
  const auto gate = tied(rows, 500);
  const auto mass = peaked(rows, 501), size = peaked(rows, 502);
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
  const int64_t rows = 23, lanes = 61;
  const auto mass = peaked(rows, 800);
  std::vector<uint8_t> code(rows * kL);
  for (size_t i = 0; i < code.size(); ++i) {
    code[i] = static_cast<uint8_t>(uniform(802, i) * kPoolCodes);
  }
  const auto run = [&](const RowStatsKernels& table) {
    std::vector<uint64_t> packed(rows * kL), result(rows * kPoolCodes);
    table.pack_masses(mass.data(), rows, packed.data());
    table.code_sums(code.data(), packed.data(), rows, lanes, result.data());
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
