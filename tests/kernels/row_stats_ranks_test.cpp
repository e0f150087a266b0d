// Orders along the columns of a block, and sums by rank.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "kernels/row_stats_case.h"

namespace sparsescope::testing {
namespace {

class RowRanks : public RowStats {};

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

TEST_P(RowRanks, RankedEntriesByHand) {
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

TEST_P(RowRanks, EqualGatesRankByBlockAndAreKeptByEveryTau) {
  const auto gate = lane_zero({3.0f, 3.0f, kInf, 3.0f});
  const Ranked found(kernels(), gate, kL, lane_zero({3.0f}), powers_of_two(4), 1);
  for (const auto& [rank, mass] : {std::pair{0, 4}, {1, 1}, {2, 2}, {3, 8}}) {
    EXPECT_EQ(found.by_rank[rank].mass, static_cast<uint64_t>(mass));
  }
  expect_sum(found.by_code[0], 15, 1, 4);
}

TEST_P(RowRanks, RankedEntriesAgreeWithTheReference) {
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

TEST_P(RowRanks, SortsEveryColumn) {
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

TEST_P(RowRanks, RanksBreakTiesByRow) {
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

INSTANTIATE_TEST_SUITE_P(Impls, RowRanks, ::testing::ValuesIn(available_impls()),
                         row_stats_test_name);

}  // namespace
}  // namespace sparsescope::testing
