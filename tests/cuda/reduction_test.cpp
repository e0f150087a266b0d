// The statistics that the device reduces, against the reducers of the host on the same masses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capture/device_layout.h"
#include "capture/row_group_reducer.h"
#include "capture/site_arrays.h"
#include "capture/window_cosine.h"
#include "core/thread_pool.h"
#include "cuda/device_fixture.h"
#include "cuda/made_masses.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

using testing::MadeMasses;

struct Case {
  std::string name;
  TokenGrid grid;
  TileShape tile;
  int64_t prefix = 0, suffix = 0;
  int64_t heads = 2, head_dim = 8;
  int64_t rows_per_tile = 0;
  std::vector<std::string> partitions;
  int32_t heads_at_once = 2;
  int32_t groups_at_once = 1000;
  bool little_memory = false;  // for scores and gates: one head at a time
};

struct Statistics {
  std::map<std::string, std::vector<double>> arrays;
  std::vector<float> map;

  void add(std::vector<StatArray> more) {
    for (StatArray& array : more) arrays[array.name] = std::move(array.values);
  }
};

class Reduction : public testing::CudaTest {
 protected:
  static CallLayout layout_of(const Case& test) {
    std::vector<Partition> partitions;
    for (const std::string& text : test.partitions) partitions.push_back(parse_partition(text));
    return make_call_layout({test.grid, test.prefix, test.suffix}, test.tile, partitions,
                            test.rows_per_tile, 7);
  }

  static Statistics on_host(const naive::Call& call, const CallLayout& layout,
                            const MadeMasses& masses) {
    ThreadPool pool(1);
    const RowStatsKernels& kernels = row_stats_kernels(Impl::kReference);
    const AttentionTensor q = contiguous_attention_tensor(call.q.data(), Dtype::kF32, 1, call.heads,
                                                          call.tokens(), call.head_dim);
    AttentionTensor k = q;
    k.data = call.k.data();
    const KeyMeans means = compute_key_means(k, layout, kernels, pool);
    GateSelection cuts;
    if (!layout.partitions.empty()) cuts = find_gate_cuts(q, layout, means, kernels, pool);
    Statistics result;
    result.map.resize(call.heads * layout.num_tiles * layout.num_tiles);
    const ReductionContext context{
        layout, q, static_cast<float>(call.scale()), means, cuts, kernels, result.map.data()};
    RowGroupReducer reducer(context);
    std::vector<RowBlockMasses> blocks;
    for (int64_t head = 0; head < call.heads; ++head) {
      for (int32_t group = 0; group < layout.rows.num_video_groups; ++group) {
        reducer.add(masses.group(head, group, blocks));
      }
    }
    reducer.finish();
    result.add(make_site_arrays(reducer.heads(), layout));
    if (auto cosines = window_cosine(q, layout, kernels, pool)) result.add({std::move(*cosines)});
    return result;
  }

  template <typename Use>
  static void for_chunks(const naive::Call& call, const RowGroups& rows, const MadeMasses& masses,
                         const Case& test, const Use& use) {
    const int32_t num_groups = rows.num_video_groups;
    for (int32_t head = 0; head < call.heads; head += test.heads_at_once) {
      const int32_t heads = std::min(test.heads_at_once, static_cast<int32_t>(call.heads) - head);
      for (int32_t group = 0; group < num_groups; group += test.groups_at_once) {
        const int32_t last = std::min(group + test.groups_at_once, num_groups) - 1;
        const int32_t first_block = rows.groups[group].first_block;
        const int32_t end = rows.groups[last].first_block + rows.groups[last].num_blocks;
        use(masses.chunk(head, heads, first_block, end - first_block).chunk());
      }
    }
  }

  // Masses of sampled rows on the blocks of partitions without a finer one, from those on cells.
  static std::vector<float> block_masses(const CallLayout& layout, const MadeMasses& masses,
                                         int32_t head, int32_t first_row, int32_t num_rows,
                                         int32_t stride) {
    std::vector<float> values(layout.partition_blocks * stride);
    const auto num_cells = std::ssize(layout.cells.cells);
    for (int64_t b = 0; b < layout.num_video_blocks; ++b) {
      for (int32_t row = layout.sampled.first[b]; row < layout.sampled.first[b + 1]; ++row) {
        if (row < first_row || row >= first_row + num_rows) continue;
        for (size_t p = 0; p < layout.partitions.size(); ++p) {
          const PartitionLayout& partition = layout.partitions[p];
          if (partition.finer >= 0) continue;
          for (int32_t cell = 0; cell < layout.cells.num_video_cells; ++cell) {
            const int64_t block = partition.first_block + layout.cells.block_of_cell[p][cell];
            values[block * stride + row - first_row] +=
                masses.head(head)
                    .cells[(b * num_cells + cell) * kRowLanes + layout.sampled.lane[row]];
          }
        }
      }
    }
    return values;
  }

  static void add_gates(const CallLayout& layout, const MadeMasses& masses, int32_t num_heads,
                        const Case& test, cuda::GateReduction& gates) {
    constexpr int32_t kRows = 100, kStride = 128;
    const int32_t at_once = std::min(test.heads_at_once, gates.heads_at_once());
    const auto all_rows = static_cast<int32_t>(layout.sampled.size());
    for (int32_t head = 0; head < num_heads; head += at_once) {
      const int32_t heads = std::min(at_once, num_heads - head);
      for (int32_t row = 0; row < all_rows; row += kRows) {
        const int32_t rows = std::min(kRows, all_rows - row);
        std::vector<float> values;
        for (int32_t h = head; h < head + heads; ++h) {
          const auto of_head = block_masses(layout, masses, h, row, rows, kStride);
          values.insert(values.end(), of_head.begin(), of_head.end());
        }
        auto there = cuda::to_device(values, nullptr);
        gates.consume({.first_head = head,
                       .num_heads = heads,
                       .first_row = row,
                       .num_rows = rows,
                       .row_stride = kStride,
                       .masses = there.data()});
      }
    }
  }

  static Statistics on_device(const naive::Call& call, const CallLayout& layout,
                              const MadeMasses& masses, const Case& test) {
    const auto q_values = cuda::to_device(call.q, nullptr),
               k_values = cuda::to_device(call.k, nullptr);
    AttentionTensor q = contiguous_attention_tensor(q_values.data(), Dtype::kF32, 1, call.heads,
                                                    call.tokens(), call.head_dim);
    q.space = MemorySpace::kDevice;
    AttentionTensor k = q;
    k.data = k_values.data();
    Statistics result;
    result.map.resize(call.heads * layout.num_tiles * layout.num_tiles);
    const DeviceLayout device(layout);
    const bool little = test.little_memory;
    std::optional<cuda::GateReduction> gates;
    if (device.gate_tables() != nullptr)
      gates.emplace(device.gate_tables(), q, k, little ? 0 : cuda::GateReduction::kGateBytes);
    cuda::MassReduction reduction(device.tables(), q, k, static_cast<float>(call.scale()),
                                  result.map.data(), little ? 0 : cuda::MassReduction::kScoreBytes);
    const MadeMasses of_tiles(call, device.cells(), device.rows());
    for_chunks(call, device.rows(), of_tiles, test,
               [&](const cuda::MassChunk& chunk) { reduction.consume(chunk, nullptr); });
    if (gates) add_gates(layout, masses, static_cast<int32_t>(call.heads), test, *gates);
    const std::vector<cuda::ReducedHead> heads = reduction.finish();
    const auto of_gates =
        gates ? gates->finish() : std::vector<std::vector<cuda::ReducedGates>>(heads.size());
    std::vector<HeadSums> sums;
    for (size_t h = 0; h < heads.size(); ++h) {
      sums.push_back(device.head_sums(heads[h], of_gates[h]));
    }
    result.add(make_site_arrays(sums, layout));
    if (auto cosines = device.window_cosine(heads)) result.add({std::move(*cosines)});
    return result;
  }

  // Both sum the same fp32 masses in fp64; a mass is three roundings from that of the other side.
  static void expect_equal(const Statistics& device, const Statistics& host) {
    ASSERT_EQ(device.arrays.size(), host.arrays.size());
    for (const auto& [name, expected] : host.arrays) {
      const std::vector<double>& values = device.arrays.at(name);
      ASSERT_EQ(values.size(), expected.size()) << name;
      for (size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(values[i], expected[i], 1e-6 * std::max(0.1, std::abs(expected[i])))
            << name << " at " << i;
      }
    }
    for (size_t i = 0; i < host.map.size(); ++i) {
      EXPECT_NEAR(device.map[i], host.map[i], 1e-6 * host.map[i]) << "map at " << i;
    }
  }

  static void check(const Case& test) {
    const naive::Call call = naive::make_call(test.grid, test.tile, test.prefix, test.suffix,
                                              test.heads, test.head_dim, 5);
    const CallLayout layout = layout_of(test);
    const MadeMasses masses(call, layout.cells, layout.rows);
    const Statistics host = on_host(call, layout, masses);
    testing::for_each_schedule([&] { expect_equal(on_device(call, layout, masses, test), host); });
  }
};

TEST_F(Reduction, SmallRaggedGrid) { check({.grid = {5, 6, 7}, .tile = {4, 4, 4}}); }

TEST_F(Reduction, TextAndChunks) {
  check({.grid = {5, 6, 7},
         .tile = {2, 4, 4},
         .prefix = 3,
         .suffix = 70,
         .heads = 3,
         .head_dim = 20,
         .groups_at_once = 2});
}

TEST_F(Reduction, TilesOfSeveralBlocks) {
  check({.grid = {6, 9, 10},
         .tile = {4, 6, 5},
         .head_dim = 18,
         .rows_per_tile = 20,
         .groups_at_once = 3});
}

TEST_F(Reduction, SampledRowsAndPartitions) {
  check({.grid = {4, 6, 12},
         .tile = {4, 4, 4},
         .prefix = 2,
         .heads = 1,
         .head_dim = 32,
         .rows_per_tile = 5,
         .partitions = {"temporal:3", "spatial:3,4", "st:2,3,6"}});
}

TEST_F(Reduction, AllRowsAndPartitions) {
  check({.grid = {5, 6, 8},
         .tile = {2, 3, 4},
         .prefix = 2,
         .heads = 3,
         .head_dim = 16,
         .partitions = {"temporal:2", "spatial:3,4", "st:1,2,2"},
         .groups_at_once = 3});
}

TEST_F(Reduction, SmallMemory) {
  check({.grid = {4, 6, 8},
         .tile = {2, 3, 4},
         .heads = 3,
         .head_dim = 16,
         .rows_per_tile = 8,
         .partitions = {"temporal:2", "temporal:1", "spatial:3,4", "st:1,3,4"},
         .groups_at_once = 2,
         .little_memory = true});
}

TEST_F(Reduction, TilesOfOneToken) {
  check({.grid = {2, 5, 7}, .tile = {1, 1, 1}, .heads = 1, .head_dim = 128});
}

// 30 tiles of a row block: means and masses take just under the 48 KB that a thread block gets
// unasked.
TEST_F(Reduction, TilesThatFillDefaultSharedMemory) {
  check({.grid = {2, 5, 6}, .tile = {1, 1, 2}, .heads = 1, .head_dim = 64});
}

}  // namespace
}  // namespace sparsescope
