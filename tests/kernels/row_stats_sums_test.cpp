// Sums over the rows of a block, by lane: weighted, combined, prefix, by threshold; moments,
// products, ranges, transposes.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/row_stats_case.h"

namespace sparsescope::testing {
namespace {

class RowSums : public RowStats {};

TEST_P(RowSums, SmallValuesByHand) {
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

TEST_P(RowSums, ThresholdSumsByHand) {
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

TEST_P(RowSums, FiniteRangeLeavesOutInfinity) {
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

TEST_P(RowSums, TransposesAndAddsRows) {
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

TEST_P(RowSums, ExtractsLanesAsRows) {
  const auto data = normals(21 * kL, 77);
  const std::vector<uint8_t> lanes{63, 0, 17};
  std::vector<float> found(3 * 21);
  kernels().extract_lanes(data.data(), 21, lanes.data(), 3, found.data());
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t r = 0; r < 21; ++r) EXPECT_EQ(found[i * 21 + r], data[r * kL + lanes[i]]);
  }
}

TEST_P(RowSums, WidensBf16) {
  // 1, -2, the least subnormal, infinity, and 1 + 2^-7 often enough for whole vectors
  std::vector<uint16_t> bits{0x3f80, 0xc000, 0x0001, 0x7f80};
  bits.resize(37, 0x3f81);
  std::vector<float> found(37);
  kernels().widen_bf16(bits.data(), 37, found.data());
  EXPECT_EQ(found[0], 1.0f);
  EXPECT_EQ(found[1], -2.0f);
  EXPECT_EQ(found[2], 0x1p-133f);
  EXPECT_EQ(found[3], kInf);
  for (size_t i = 4; i < found.size(); ++i) EXPECT_EQ(found[i], 1.0078125f);
}

TEST_P(RowSums, SumsAgreeWithTheReference) {
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
      target[r] = static_cast<int32_t>(r * 7 / 2 % 3);  // some neighbours alike
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

TEST_P(RowSums, ProductsAgreeWithTheReference) {
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

TEST_P(RowSums, RulesAgreeWithTheReference) {
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

INSTANTIATE_TEST_SUITE_P(Impls, RowSums, ::testing::ValuesIn(available_impls()),
                         row_stats_test_name);

}  // namespace
}  // namespace sparsescope::testing
