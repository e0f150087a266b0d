// Row statistics: the reference against values worked out by hand, every instruction set against
// the reference on peaked and tied data.
#include "kernels/row_stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
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
  const std::vector<float> row_limit{kInf, 1.0f, -kInf};
  kernels().row_threshold_sums(key.data(), value.data(), size.data(), 3, row_limit.data(),
                               values.data(), sizes.data());
  EXPECT_EQ(values[0], 0.375f);
  EXPECT_EQ(sizes[0], 3.0f);
}

TEST_P(RowStats, PoolSumsByHand) {
  // Normalised gates 1, 0.5, 0 in lane 0 (lo 0, width 2).
  const auto gate = lane_zero({2.0f, 1.0f, 0.0f});
  const auto mass = lane_zero({0.5f, 0.25f, 0.125f});
  const std::vector<float> size(3 * kL, 7.0f);
  const std::vector<double> lo(kL, 0.0), inverse(kL, 0.5);
  // Nothing needed still keeps one; 1.2 takes two; out of reach takes all.
  std::vector<double> needed(3 * kL), cumulative(3 * kL), masses(3 * kL), sizes(3 * kL);
  needed[kL] = 1.2;
  needed[2 * kL] = 9.0;
  kernels().pool_sums({3, gate.data(), mass.data(), size.data(), lo.data(), inverse.data(),
                       needed.data(), 3, cumulative.data(), masses.data(), sizes.data()});
  EXPECT_DOUBLE_EQ(masses[0], 0.5);
  EXPECT_DOUBLE_EQ(masses[kL], 0.75);
  EXPECT_DOUBLE_EQ(masses[2 * kL], 0.875);
  EXPECT_DOUBLE_EQ(sizes[0], 7.0);
  EXPECT_DOUBLE_EQ(sizes[kL], 14.0);
  EXPECT_DOUBLE_EQ(sizes[2 * kL], 21.0);
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

TEST_P(RowStats, IndexedSortBreaksTiesByIndex) {
  for (const int64_t rows : {16, 32, 64, 128, 256, 512}) {
    auto key = tied(rows, 7 + rows);
    const auto original = key;
    std::vector<int32_t> index(rows * kL);
    for (int64_t i = 0; i < rows * kL; ++i) index[i] = static_cast<int32_t>(i / kL);
    kernels().sort_columns_indexed(key.data(), index.data(), rows);
    for (int64_t lane = 0; lane < kL; ++lane) {
      std::vector<int32_t> expected(rows);
      for (int64_t r = 0; r < rows; ++r) expected[r] = static_cast<int32_t>(r);
      std::stable_sort(expected.begin(), expected.end(), [&](int32_t a, int32_t b) {
        return original[a * kL + lane] > original[b * kL + lane];
      });
      for (int64_t r = 0; r < rows; ++r) {
        ASSERT_EQ(index[r * kL + lane], expected[r]) << rows;
        ASSERT_EQ(key[r * kL + lane], original[expected[r] * kL + lane]) << rows;
      }
    }
    std::vector<float> gathered(rows * kL);
    kernels().gather(original.data(), index.data(), rows, gathered.data());
    EXPECT_EQ(gathered, key);
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

    std::vector<float> lo(kL), hi(kL), expected_lo(kL), expected_hi(kL);
    kernels().min_max(data.data(), rows, lo.data(), hi.data());
    reference().min_max(data.data(), rows, expected_lo.data(), expected_hi.data());
    EXPECT_EQ(lo, expected_lo);
    EXPECT_EQ(hi, expected_hi);
  }
}

TEST_P(RowStats, ProductsAgreeWithTheReference) {
  for (const int64_t rows : {1, 6, 7, 23}) {
    for (const int64_t depth : {1, 16, 77}) {
      const auto left = normals(rows * depth, 300 + rows);
      const auto columns = normals(depth * kL, 400 + depth);
      std::vector<float> found(rows * kL), expected(rows * kL);
      kernels().products(left.data(), rows, depth, columns.data(), found.data());
      reference().products(left.data(), rows, depth, columns.data(), expected.data());
      expect_near(found, expected, 1e-5, "products");
    }
  }
}

TEST_P(RowStats, RulesAgreeWithTheReference) {
  const int64_t rows = 37, taus = 5;
  auto gate = tied(rows, 500);
  for (int64_t lane = 0; lane < kL; ++lane) {  // descending columns, as the rule expects
    std::vector<float> column(rows);
    for (int64_t r = 0; r < rows; ++r) column[r] = gate[r * kL + lane];
    std::sort(column.begin(), column.end(), std::greater<float>());
    for (int64_t r = 0; r < rows; ++r) gate[r * kL + lane] = column[r];
  }
  const auto mass = peaked(rows, 501), size = peaked(rows, 502);
  const std::vector<double> lo(kL, -2.0), inverse(kL, 0.25);
  std::vector<double> needed(taus * kL), cumulative(rows * kL);
  for (size_t i = 0; i < needed.size(); ++i) needed[i] = uniform(503, i) * 20.0;
  const auto run = [&](const RowStatsKernels& table) {
    std::vector<double> result(2 * taus * kL);
    table.pool_sums({rows, gate.data(), mass.data(), size.data(), lo.data(), inverse.data(),
                     needed.data(), taus, cumulative.data(), result.data(),
                     result.data() + taus * kL});
    return result;
  };
  expect_near(run(kernels()), run(reference()), 1e-12, "pool sums");

  std::vector<float> limits(kL);
  for (int64_t lane = 0; lane < kL; ++lane) limits[lane] = static_cast<float>(lane % 6) - 3.0f;
  std::vector<float> sums(4 * kL), expected(4 * kL);
  const std::vector<float> weights(size.begin(), size.begin() + rows);
  for (const bool by_lane : {true, false}) {
    const auto choose = [&](const RowStatsKernels& table, std::vector<float>& out) {
      const auto rule = by_lane ? table.lane_threshold_sums : table.row_threshold_sums;
      rule(gate.data(), mass.data(), weights.data(), rows, limits.data(), out.data(),
           out.data() + kL);
    };
    choose(kernels(), sums);
    choose(reference(), expected);
    expect_near(sums, expected, 2e-6, by_lane ? "lane thresholds" : "row thresholds");
  }

  const auto scores = normals(rows * kL, 504);
  std::vector<double> found(4 * kL), wanted(4 * kL);
  kernels().moments(scores.data(), rows, &found[0], &found[kL], &found[2 * kL], &found[3 * kL]);
  reference().moments(scores.data(), rows, &wanted[0], &wanted[kL], &wanted[2 * kL],
                      &wanted[3 * kL]);
  expect_near(found, wanted, 1e-12, "moments");
}

INSTANTIATE_TEST_SUITE_P(Impls, RowStats, testing::ValuesIn(available_impls()),
                         [](const auto& param_info) {
                           std::string name(impl_name(param_info.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace sparsescope
