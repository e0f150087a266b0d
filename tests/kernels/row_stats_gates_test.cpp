// Gates in bins and codes, and masses summed by code.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/row_stats_case.h"

namespace sparsescope::testing {
namespace {

class RowGates : public RowStats {};

TEST_P(RowGates, GateBinsByHand) {
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

TEST_P(RowGates, SelectedBinsAgreeWithTheReference) {
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

TEST_P(RowGates, PoolCodesCountTheLimitsNotAbove) {
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

TEST_P(RowGates, PackedSumsAgreeWithTheReference) {
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

INSTANTIATE_TEST_SUITE_P(Impls, RowGates, ::testing::ValuesIn(available_impls()),
                         row_stats_test_name);

}  // namespace
}  // namespace sparsescope::testing
