// Sorted rows, in shared memory and, as rows longer than that are, in global memory; products of
// rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/rng.h"
#include "cuda/device_fixture.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gate_ranks.h"
#include "kernels/cuda/multiply_rows.h"
#include "kernels/cuda/reduce_orders.h"

namespace sparsescope::cuda {
namespace {

using Orders = sparsescope::testing::CudaTest;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_F(Orders, LargestMassesOfRows) {
  constexpr int32_t kTiles = 300, kRows = 7;
  std::vector<float> masses(kRows * kTiles);
  for (size_t i = 0; i < masses.size(); ++i) masses[i] = static_cast<float>(uniform(3, i));
  const std::vector<int32_t> kept{1, 5, 300};
  std::vector<double> expected;
  for (int32_t row = 0; row < kRows; ++row) {
    std::vector<float> sorted(&masses[row * kTiles], &masses[row * kTiles] + kTiles);
    std::sort(sorted.begin(), sorted.end(), std::greater<float>());
    for (const int32_t count : kept) {
      expected.push_back(std::accumulate(sorted.begin(), sorted.begin() + count, 0.0));
    }
  }
  const auto on_device = to_device(masses, nullptr);
  const auto counts = to_device(kept, nullptr);
  const Fractions fractions{.kept = counts.data(), .count = 3};
  DeviceBuffer<uint64_t> keys(3 * sorted_size(kTiles), nullptr);
  for (const OrderScratch& scratch : {OrderScratch{}, OrderScratch{keys.data(), 3}}) {
    DeviceBuffer<double> values(std::ssize(expected), nullptr);
    reduce_row_orders(on_device.data(), kRows, kTiles, fractions, scratch, values.data(), nullptr);
    const std::vector<double> found = to_host(values, nullptr);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12);
  }
}

// Two queries against five blocks, the last one of half the size. By hand: the first query has own
// block 1 (gate 2) and gates 4, 0, 1, 1 to the others, of which equal ones go by block; the second
// has own block 4 (gate 8) and four gates of 0, so that the own block weighs as much as all.
TEST_F(Orders, SmallBlocksOfAQueryByGate) {
  const std::vector<GateBlock> blocks{
      {0, 0, 5, 8}, {0, 0, 5, 8}, {0, 0, 5, 8}, {0, 0, 5, 8}, {0, 0, 5, 4}};
  const std::vector<int32_t> partition_first{0};
  std::vector<float> gates{4, 0, kInfinity, 0, 0, 0, 1, 0, 1, kInfinity};  // [blocks, rows]
  std::vector<float> own{2, 8};
  const std::vector<float> masses{0.5f,   0.25f, 0.125f, 0.125f,  0.0625f,
                                  0.125f, 0.25f, 0.25f,  0.0625f, 0.25f};
  const auto blocks_there = to_device(blocks, nullptr);
  const auto first_there = to_device(partition_first, nullptr);
  auto gates_there = to_device(gates, nullptr), own_there = to_device(own, nullptr);
  const auto masses_there = to_device(masses, nullptr);
  DeviceBuffer<uint8_t> scratch(rank_bytes(5), nullptr);
  for (uint8_t* memory : {static_cast<uint8_t*>(nullptr), scratch.data()}) {
    DeviceBuffer<float> ranked(10, nullptr);
    DeviceBuffer<int32_t> last_at(5, nullptr);
    last_at.fill_zero();
    DeviceBuffer<double> by_tau(2 * 2 * kGateTaus, nullptr);
    rank_gates({.rows = {.blocks = blocks_there.data(),
                         .partition_first = first_there.data(),
                         .num_blocks = 5,
                         .num_partitions = 1,
                         .most_blocks = 5,
                         .num_rows = 2,
                         .total_heads = 1,
                         .num_heads = 1,
                         .gates = gates_there.data(),
                         .own = own_there.data()},
                .masses = masses_there.data(),
                .num_rows = 2,
                .scratch = memory,
                .scratch_blocks = 1,
                .ranked = ranked.data(),
                .last_at = last_at.data(),
                .by_tau = by_tau.data()},
               nullptr);
    EXPECT_THAT(to_host(ranked, nullptr), ElementsAre(0.125f, 0.5f, 0.25f, 0.0625f, 0.0625f,  //
                                                      0.25f, 0.25f, 0.125f, 0.125f, 0.25f));
    EXPECT_THAT(to_host(last_at, nullptr), ElementsAre(1, 0, 0, 1, 0));
    const std::vector<double> found = to_host(by_tau, nullptr);
    // Weights of the first query: 2 of the own block, then 4, 1, 1, 0, of 8 in all. The rule's
    // 1e-6 leaves 0.75 * 8 = 6 just out of reach of two blocks: those serve taus up to 0.7, three
    // up to 0.85, which wants 6.8 of 7, four the others.
    std::vector<double> mass(14, 0.625), tokens(14, 16.0);
    mass.insert(mass.end(), {0.875, 0.875, 0.875, 0.9375, 0.9375});
    tokens.insert(tokens.end(), {24, 24, 24, 28, 28});
    EXPECT_THAT(std::vector(found.begin(), found.begin() + 19), ElementsAreArray(mass));
    EXPECT_THAT(std::vector(found.begin() + 19, found.begin() + 38), ElementsAreArray(tokens));
    // Nothing but the own block weighs: the best other one is kept all the same.
    EXPECT_THAT(std::vector(found.begin() + 38, found.begin() + 57),
                ElementsAreArray(std::vector(19, 0.5)));
    EXPECT_THAT(std::vector(found.begin() + 57, found.end()),
                ElementsAreArray(std::vector(19, 12.0)));
  }
}

// More rows than a tile on both sides, and channels that fill no whole number of steps.
TEST_F(Orders, ProductsOfRows) {
  constexpr int32_t kHeads = 2, kA = 140, kB = 261, kDepth = 21;
  std::vector<float> a(kHeads * kA * kDepth), b(kHeads * kB * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3.0f;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 11) - 5.0f;
  const auto a_there = to_device(a, nullptr), b_there = to_device(b, nullptr);
  DeviceBuffer<float> products(kHeads * kA * kB, nullptr);
  multiply_rows(a_there.data(), kA, b_there.data(), kB, kHeads, kDepth, products.data(), nullptr);
  const std::vector<float> found = to_host(products, nullptr);
  for (int32_t head = 0; head < kHeads; ++head) {
    for (int32_t i = 0; i < kA; ++i) {
      for (int32_t j = 0; j < kB; ++j) {
        float expected = 0.0f;  // of small integers: exact
        for (int32_t d = 0; d < kDepth; ++d) {
          expected += a[(head * kA + i) * kDepth + d] * b[(head * kB + j) * kDepth + d];
        }
        ASSERT_EQ(found[(head * kA + i) * kB + j], expected) << head << ' ' << i << ' ' << j;
      }
    }
  }
}

}  // namespace
}  // namespace sparsescope::cuda
