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

// A row of results of reduce_tile_orders, by its definition; tokens are three a tile.
std::vector<double> tile_orders(const float* map, const float* scores,
                                const std::vector<float>& sizes, int32_t row,
                                const std::vector<int32_t>& kept, const std::vector<double>& cuts) {
  const auto tiles = static_cast<int32_t>(sizes.size());
  std::vector<int32_t> order(tiles);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  std::vector<float> sorted(map, map + tiles);
  std::sort(sorted.begin(), sorted.end(), std::greater<float>());
  const double mean = std::accumulate(scores, scores + tiles, 0.0) / tiles;
  const auto moment = [&](int power) {
    double sum = 0.0;
    for (int32_t j = 0; j < tiles; ++j) sum += std::pow(scores[j] - mean, power);
    return sum / tiles;
  };
  const bool equal = scores[order.front()] == scores[order.back()];
  const double deviation = equal ? 0.0 : std::sqrt(moment(2));
  std::vector<double> own, pooled, density, recall;
  for (size_t f = 0; f < kept.size(); ++f) {
    own.push_back(sizes[row] * std::accumulate(sorted.begin(), sorted.begin() + kept[f], 0.0));
    double by_score = 0.0, mass = 0.0, tokens = 0.0;
    for (int32_t rank = 0; rank < tiles; ++rank) {
      const int32_t tile = order[rank];
      if (rank < kept[f]) by_score += map[tile];
      if (equal || rank == 0 || scores[tile] >= mean + deviation * cuts[f]) {
        mass += map[tile];
        tokens += sizes[tile];
      }
    }
    pooled.push_back(sizes[row] * by_score);
    density.push_back(sizes[row] * tokens / (3.0 * tiles));
    recall.push_back(sizes[row] * mass);
  }
  std::vector<double> result;
  for (const auto& part : {own, pooled, density, recall}) {
    result.insert(result.end(), part.begin(), part.end());
  }
  result.insert(result.end(), {mean, deviation, equal ? 0.0 : moment(3) / (moment(2) * deviation),
                               equal ? 0.0 : moment(4) / (moment(2) * moment(2)) - 3.0});
  return result;
}

// Sorted by warps in registers, by blocks in shared memory and by blocks in global memory.
TEST_F(Orders, LargestMassesOfRows) {
  constexpr int32_t kRows = 7;
  for (const int32_t tiles : {1, 100, 128, 129, 300, 1000, 2048, 2100}) {
    SCOPED_TRACE(tiles);
    std::vector<float> masses(kRows * tiles);
    for (size_t i = 0; i < masses.size(); ++i) masses[i] = static_cast<float>(uniform(3, i));
    const std::vector<int32_t> kept{1, std::min(5, tiles), (tiles + 1) / 2, tiles};
    std::vector<double> expected;
    for (int32_t row = 0; row < kRows; ++row) {
      std::vector<float> sorted(&masses[row * tiles], &masses[row * tiles] + tiles);
      std::sort(sorted.begin(), sorted.end(), std::greater<float>());
      for (const int32_t count : kept) {
        expected.push_back(std::accumulate(sorted.begin(), sorted.begin() + count, 0.0));
      }
    }
    const auto on_device = to_device(masses, nullptr);
    const auto counts = to_device(kept, nullptr);
    const Fractions fractions{.kept = counts.data(), .count = 4};
    DeviceBuffer<uint64_t> keys(3 * sorted_size(tiles), nullptr);
    for (const OrderScratch& scratch : {OrderScratch{}, OrderScratch{keys.data(), 3}}) {
      DeviceBuffer<double> values(std::ssize(expected), nullptr);
      reduce_row_orders(on_device.data(), kRows, tiles, fractions, scratch, values.data(), nullptr);
      const std::vector<double> found = to_host(values, nullptr);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(found[i], expected[i], 1e-12);
      }
    }
  }
}

// Scores of few values, so that many tiles are equal, and a row of one value.
TEST_F(Orders, TilesByScoreThenNumber) {
  const std::vector<double> cuts{1.5, 0.25, -0.5, -std::numeric_limits<double>::infinity()};
  for (const int32_t tiles : {5, 70, 140, 260}) {
    SCOPED_TRACE(tiles);
    const auto count = static_cast<size_t>(tiles) * tiles;
    std::vector<float> map(count), scores(count), sizes(tiles);
    for (size_t i = 0; i < count; ++i) {
      map[i] = static_cast<float>(uniform(4, i));
      scores[i] = i < sizes.size() ? 1.5f : std::floor(7.0f * static_cast<float>(normal(5, i)));
    }
    for (int32_t i = 0; i < tiles; ++i) sizes[i] = static_cast<float>(1 + i % 5);
    const std::vector<int32_t> kept{1, 2, (tiles + 1) / 2, tiles};
    const auto on_map = to_device(map, nullptr), on_scores = to_device(scores, nullptr),
               on_sizes = to_device(sizes, nullptr);
    const auto counts = to_device(kept, nullptr);
    const auto deviations = to_device(cuts, nullptr);
    DeviceBuffer<uint64_t> keys(3 * sorted_size(tiles), nullptr);
    for (const OrderScratch& scratch : {OrderScratch{}, OrderScratch{keys.data(), 3}}) {
      DeviceBuffer<double> values(int64_t{tiles} * 20, nullptr);
      reduce_tile_orders({.map = on_map.data(),
                          .scores = on_scores.data(),
                          .sizes = on_sizes.data(),
                          .num_heads = 1,
                          .num_tiles = tiles,
                          .tokens = 3.0 * tiles,
                          .fractions = {counts.data(), deviations.data(), 4},
                          .scratch = scratch},
                         values.data(), nullptr);
      const std::vector<double> found = to_host(values, nullptr);
      for (int32_t row = 0; row < tiles; ++row) {
        const std::vector<double> expected =
            tile_orders(&map[size_t{1} * row * tiles], &scores[size_t{1} * row * tiles], sizes, row,
                        kept, cuts);
        for (size_t i = 0; i < expected.size(); ++i) {
          ASSERT_NEAR(found[row * 20 + i], expected[i], 1e-9 * std::max(1.0, std::abs(expected[i])))
              << "row " << row << ", value " << i;
        }
      }
    }
  }
}

// What rank_gates adds up, of one head and partition.
struct Ranked {
  std::vector<double> mass;  // [blocks] by rank
  std::vector<int32_t> last_at;
  std::vector<double> tau_mass, tau_tokens;
};

// gates, masses [blocks, rows]; the own block's gate is infinite and its true one in own [rows].
class RankedRows {
 public:
  RankedRows(const std::vector<GateBlock>& blocks, const std::vector<float>& gates,
             const std::vector<float>& own, const std::vector<float>& masses)
      : blocks_(blocks),
        num_rows_(static_cast<int32_t>(own.size())),
        blocks_there_(to_device(blocks, nullptr)),
        gates_(to_device(gates, nullptr)),
        own_(to_device(own, nullptr)),
        masses_(to_device(masses, nullptr)) {}

  template <typename Rank>
  Ranked rank(const Rank& by) {
    const auto count = static_cast<int32_t>(blocks_.size());
    DeviceBuffer<unsigned long long> mass(count, nullptr), tau_mass(kGateTaus, nullptr),
        tau_tokens(kGateTaus, nullptr);
    DeviceBuffer<int32_t> last_at(count, nullptr);
    for (auto* buffer : {&mass, &tau_mass, &tau_tokens}) buffer->fill_zero();
    last_at.fill_zero();
    by({.rows = {.blocks = blocks_there_.data(),
                 .num_blocks = count,
                 .num_partitions = 1,
                 .most_blocks = count,
                 .num_rows = num_rows_,
                 .total_heads = 1,
                 .num_heads = 1,
                 .gates = gates_.data(),
                 .own = own_.data()},
        .chunk = {.num_heads = 1,
                  .num_rows = num_rows_,
                  .row_stride = num_rows_,
                  .masses = masses_.data()},
        .sums = {mass.data(), last_at.data(), tau_mass.data(), tau_tokens.data()},
        .of = blocks_[0]},
       nullptr);
    const auto values = [](const auto& buffer, double unit) {
      std::vector<double> found;
      for (const unsigned long long sum : to_host(buffer, nullptr)) {
        found.push_back(static_cast<double>(sum) * unit);
      }
      return found;
    };
    return {values(mass, kRankUnit), to_host(last_at, nullptr), values(tau_mass, kRankUnit),
            values(tau_tokens, 1.0)};
  }

 private:
  std::vector<GateBlock> blocks_;
  int32_t num_rows_;
  DeviceBuffer<GateBlock> blocks_there_;
  DeviceBuffer<float> gates_, own_, masses_;
};

// Five blocks, the last one of half the size. By hand.
TEST_F(Orders, SmallBlocksOfAQueryByGate) {
  const std::vector<GateBlock> blocks{
      {0, 0, 5, 8}, {0, 0, 5, 8}, {0, 0, 5, 8}, {0, 0, 5, 8}, {0, 0, 5, 4}};
  // Own block 1 (gate 2) and gates 4, 0, 1, 1 to the others, of which equal ones go by block.
  RankedRows first(blocks, {4, kInfinity, 0, 1, 1}, {2}, {0.5f, 0.125f, 0.0625f, 0.25f, 0.0625f});
  // Own block 4 (gate 8) and four gates of 0: the best other one is kept all the same.
  RankedRows second(blocks, {0, 0, 0, 0, kInfinity}, {8}, {0.25f, 0.125f, 0.25f, 0.125f, 0.25f});
  for (const auto& by : {rank_by_warps, rank_long_rows}) {
    Ranked ranked = first.rank(by);
    EXPECT_THAT(ranked.mass, ElementsAre(0.125, 0.5, 0.25, 0.0625, 0.0625));
    EXPECT_THAT(ranked.last_at, ElementsAre(0, 0, 0, 1, 0));
    // Weights are 2 of the own block, then 4, 1, 1, 0, of 8 in all. The rule's 1e-6 leaves
    // 0.75 * 8 = 6 just out of reach of two blocks: those serve taus up to 0.7, three up to 0.85,
    // which wants 6.8 of 7, four the others.
    std::vector<double> mass(14, 0.625), tokens(14, 16.0);
    mass.insert(mass.end(), {0.875, 0.875, 0.875, 0.9375, 0.9375});
    tokens.insert(tokens.end(), {24, 24, 24, 28, 28});
    EXPECT_THAT(ranked.tau_mass, ElementsAreArray(mass));
    EXPECT_THAT(ranked.tau_tokens, ElementsAreArray(tokens));

    ranked = second.rank(by);
    EXPECT_THAT(ranked.mass, ElementsAre(0.25, 0.25, 0.125, 0.25, 0.125));
    EXPECT_THAT(ranked.last_at, ElementsAre(1, 0, 0, 0, 0));
    EXPECT_THAT(ranked.tau_mass, ElementsAreArray(std::vector(19, 0.5)));
    EXPECT_THAT(ranked.tau_tokens, ElementsAreArray(std::vector(19, 12.0)));
  }
}

// Gates are multiples of a few values, so that many are equal and all sums are exact. Those of the
// later rows differ by 2^-20 and less of the row's range. The longest rows are those of blocks of
// threads alone, of which 4,100 blocks do not fit shared memory.
TEST_F(Orders, BlocksOfQueriesByGate) {
  constexpr int32_t kRows = 11;
  constexpr float kFine = 1.0f / (1 << 20);
  for (const int32_t count : {1, 2, 3, 31, 33, 64, 100, 250, 400, 1000, 1260, 4100}) {
    SCOPED_TRACE(count);
    std::vector<GateBlock> blocks(count, {0, 0, count, 16});
    blocks.back().size = 6;
    std::vector<float> gates(count * kRows), masses(count * kRows), own(kRows);
    for (size_t i = 0; i < gates.size(); ++i) {
      gates[i] = std::floor(40.0f * static_cast<float>(uniform(5, i))) - 10.0f;
      if (i % kRows > 6) gates[i] *= kFine;
      if (i % kRows > 8 && i / kRows == 5) gates[i] = 16.0f;
      masses[i] = std::floor(64.0f * static_cast<float>(uniform(6, i))) / 65536.0f;
    }
    Ranked expected{std::vector<double>(count), std::vector<int32_t>(count),
                    std::vector<double>(kGateTaus), std::vector<double>(kGateTaus)};
    for (int32_t row = 0; row < kRows; ++row) {
      const int32_t self = row * 7 % count;
      own[row] = gates[self * kRows + row];
      double lo = own[row], hi = own[row];
      for (int32_t c = 0; c < count; ++c) {
        lo = std::min<double>(lo, gates[c * kRows + row]);
        hi = std::max<double>(hi, gates[c * kRows + row]);
      }
      gates[self * kRows + row] = kInfinity;
      std::vector<int32_t> order(count);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
        return gates[a * kRows + row] > gates[b * kRows + row];
      });
      double total = own[row] - lo;
      for (int32_t rank = 0; rank < count; ++rank) {
        expected.mass[rank] += masses[order[rank] * kRows + row];
        if (order[rank] == count - 1) ++expected.last_at[rank];
        if (rank > 0) total += gates[order[rank] * kRows + row] - lo;
      }
      const double width = hi > lo ? hi - lo : 1.0;
      for (int tau = 0; tau < kGateTaus; ++tau) {
        const double needed = (tau + 1) / 20.0 * (total + 1e-6 * width) - (own[row] - lo);
        double weight = 0.0;
        for (int32_t rank = 0; rank < count; ++rank) {
          if (rank >= 2 && weight >= needed) break;
          if (rank > 0) weight += gates[order[rank] * kRows + row] - lo;
          expected.tau_mass[tau] += masses[order[rank] * kRows + row];
          expected.tau_tokens[tau] += blocks[order[rank]].size;
        }
      }
    }
    RankedRows rows(blocks, gates, own, masses);
    for (const auto& by : {rank_by_warps, rank_long_rows}) {
      if (by == rank_by_warps && count > kMaxWarpBlocks) continue;
      const Ranked ranked = rows.rank(by);
      EXPECT_EQ(ranked.mass, expected.mass);
      EXPECT_EQ(ranked.last_at, expected.last_at);
      EXPECT_EQ(ranked.tau_mass, expected.tau_mass);
      EXPECT_EQ(ranked.tau_tokens, expected.tau_tokens);
    }
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
