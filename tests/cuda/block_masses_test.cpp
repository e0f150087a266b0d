// Masses of sampled rows on the blocks of partitions: how keys are dealt into columns, and sums
// against whole probability matrices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "capture/call_layout.h"
#include "capture/device_layout.h"
#include "cuda/device_fixture.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gate_tables.h"
#include "kernels/cuda/mass_columns.h"
#include "kernels/cuda/sampled_masses.h"
#include "unit/capture/naive_statistics.h"

namespace sparsescope::cuda {
namespace {

KeyCells cells_of(const TokenGrid& grid, const std::vector<std::string>& partitions,
                  int64_t prefix) {
  std::vector<Partition> parsed;
  for (const std::string& text : partitions) parsed.push_back(parse_partition(text));
  return make_key_cells(TileGrid(grid, {4, 4, 4}), parsed, prefix, 0);
}

// Two frames of 2 x 4, behind one text token: blocks of 2 x 2 first, frames within.
TEST(MassColumns, FinestPartitionFirst) {
  const KeyCells cells = cells_of({2, 2, 4}, {"temporal:1", "st:1,2,2"}, 1);
  const MassColumns plan = make_mass_columns(cells, {0, 2}, {0, 1});
  const std::vector<int32_t> video(plan.tokens.begin(), plan.tokens.begin() + 17);
  EXPECT_THAT(video,
              ::testing::ElementsAre(1, 2, 5, 6, 3, 4, 7, 8, 9, 10, 13, 14, 11, 12, 15, 16, -1));
  EXPECT_THAT(plan.valid, ::testing::ElementsAre(0xffffu));
  EXPECT_THAT(plan.first_group, ::testing::ElementsAre(0, 1));
  const std::vector<int32_t> columns(plan.blocks.begin(), plan.blocks.begin() + 7);
  EXPECT_THAT(columns, ::testing::ElementsAre(2, 3, 4, 5, 0, 1, -1));
  // Column 1, block 3, has the keys 4 to 7: those of the lanes 4 + 2 and 4 + 3, in register 0.
  EXPECT_EQ(plan.bits[4 + 1], 0u);
  EXPECT_EQ(plan.bits[4 + 2], 0x40004000u);
  EXPECT_EQ(plan.bits[4 + 3], 0x40004000u);
  // Column 5, the second frame, has the keys 8 to 15: all of register 1.
  for (int lane = 20; lane < 24; ++lane) EXPECT_EQ(plan.bits[lane], 0x20002000u);
}

// Of Wan at 480p, with the partitions that are measured by default.
TEST(MassColumns, FewOnPublishedGrids) {
  const KeyCells cells =
      cells_of({21, 30, 52}, {"temporal:1", "spatial:3,2", "st:3,5,4", "st:7,10,4"}, 0);
  const MassColumns plan = make_mass_columns(cells, {0, 21, 281, 827}, {0, 1, 2, 3});
  EXPECT_EQ(plan.num_key_blocks(), 512);
  EXPECT_LT(plan.first_group.back(), 1.05 * plan.num_key_blocks());
}

struct Case {
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  int64_t heads = 2, head_dim = 64;
  int64_t rows_per_tile = 0;
  std::vector<std::string> partitions;
  int64_t max_bytes = int64_t{1} << 30;
  Dtype dtype = Dtype::kBF16;
};

class SampledMasses : public sparsescope::testing::CudaTest {
 protected:
  static uint16_t to_bits(float value, Dtype dtype) {
    return dtype == Dtype::kBF16 ? float_to_bf16(value) : float_to_f16(value);
  }
  static DeviceBuffer<uint16_t> rounded(std::vector<float>& values, Dtype dtype) {
    std::vector<uint16_t> bits;
    for (float& value : values) {
      bits.push_back(to_bits(value, dtype));
      value = dtype == Dtype::kBF16 ? bf16_to_float(bits.back()) : f16_to_float(bits.back());
    }
    return to_device(bits, nullptr);
  }
  // [H, S]; of video rows alone, which are those that are sampled
  static std::vector<float> log_sums(const naive::Call& call) {
    std::vector<float> lse(call.heads * call.tokens(), NAN);
    for (int64_t head = 0; head < call.heads; ++head) {
      for (int64_t row = call.prefix; row < call.prefix + call.grid.tokens(); ++row) {
        double sum = 0.0;
        for (int64_t key = 0; key < call.tokens(); ++key) {
          sum += std::exp(call.scale() * std::inner_product(call.query(head, row),
                                                            call.query(head, row) + call.head_dim,
                                                            call.key(head, key), 0.0));
        }
        lse[head * call.tokens() + row] = static_cast<float>(std::log(sum));
      }
    }
    return lse;
  }

  static void check(const Case& test) {
    naive::Call call = naive::make_call(test.grid, {4, 4, 4}, test.prefix, test.suffix, test.heads,
                                        test.head_dim, 9);
    const auto q_there = rounded(call.q, test.dtype), k_there = rounded(call.k, test.dtype);
    const auto lse = to_device(log_sums(call), nullptr);
    std::vector<Partition> partitions;
    for (const std::string& text : test.partitions) partitions.push_back(parse_partition(text));
    const CallLayout layout = make_call_layout({test.grid, test.prefix, test.suffix}, {4, 4, 4},
                                               partitions, test.rows_per_tile, 7);
    const DeviceLayout device(layout);
    AttentionTensor q = contiguous_attention_tensor(q_there.data(), test.dtype, 1, call.heads,
                                                    call.tokens(), call.head_dim);
    q.space = MemorySpace::kDevice;
    AttentionTensor k = q;
    k.data = k_there.data();
    std::vector<naive::Matrix> probs;
    for (int64_t head = 0; head < call.heads; ++head) {
      probs.push_back(naive::probabilities(call, head));
    }
    int64_t checked = 0;
    const SampledCall sampled{.q = q,
                              .k = k,
                              .lse = lse.data(),
                              .scale = static_cast<float>(call.scale()),
                              .max_heads = 2,
                              .max_bytes = test.max_bytes};
    for_mass_chunks(sampled, *device.gate_tables(), nullptr, [&](const BlockMassChunk& chunk) {
      std::vector<float> masses(chunk.num_heads * layout.partition_blocks * chunk.row_stride);
      to_host(chunk.masses, std::span<float>(masses), nullptr);
      for (int32_t h = 0; h < chunk.num_heads; ++h) {
        for (int32_t row = 0; row < chunk.num_rows; ++row) {
          const int32_t token = layout.sampled.token[chunk.first_row + row];
          const std::vector<double> expected =
              block_masses(layout, probs[chunk.first_head + h][token - layout.prefix]);
          for (const PartitionLayout& partition : layout.partitions) {
            if (partition.finer >= 0) continue;
            for (int64_t c = 0; c < partition.blocks; ++c) {
              const int64_t block = partition.first_block + c;
              const float found =
                  masses[(h * layout.partition_blocks + block) * chunk.row_stride + row];
              // Scores of up to 20 in fp32, exponentials of them and of lse: 20 * 2^-22 and more.
              ASSERT_NEAR(found, expected[block], 1e-5 * expected[block] + 1e-11)
                  << partition.name << ' ' << c << " row " << row;
              ++checked;
            }
          }
        }
      }
    });
    int64_t blocks = 0;
    for (const PartitionLayout& partition : layout.partitions) {
      if (partition.finer < 0) blocks += partition.blocks;
    }
    EXPECT_EQ(checked, call.heads * layout.sampled.size() * blocks);
  }

  // [blocks of all partitions]
  static std::vector<double> block_masses(const CallLayout& layout,
                                          const std::vector<double>& probs) {
    std::vector<double> masses(layout.partition_blocks);
    for (size_t p = 0; p < layout.partitions.size(); ++p) {
      for (int32_t cell = 0; cell < layout.cells.num_video_cells; ++cell) {
        const KeyCell& of_cell = layout.cells.cells[cell];
        const int64_t block =
            layout.partitions[p].first_block + layout.cells.block_of_cell[p][cell];
        for (int32_t i = of_cell.first; i < of_cell.first + of_cell.count; ++i) {
          masses[block] += probs[layout.cells.order[i]];
        }
      }
    }
    return masses;
  }
};

TEST_F(SampledMasses, TextAndPartitionsThatCross) {
  const Case test{.grid = {4, 6, 8},
                  .prefix = 3,
                  .suffix = 5,
                  .rows_per_tile = 24,
                  .partitions = {"temporal:1", "temporal:2", "spatial:3,4", "st:1,2,2"}};
  sparsescope::testing::for_each_schedule([&] { check(test); });
}

// More columns than a group has, and heads and rows that come in several chunks.
TEST_F(SampledMasses, ManyColumnsInChunks) {
  check({.grid = {4, 6, 8},
         .heads = 3,
         .head_dim = 128,
         .partitions = {"temporal:1", "spatial:1,1", "st:1,3,2"},
         .max_bytes = 64 * 4 * 100});
}

TEST_F(SampledMasses, HalfPrecisionAndPaddedHeads) {
  check({.grid = {3, 5, 7},
         .head_dim = 40,
         .rows_per_tile = 16,
         .partitions = {"temporal:1", "st:1,5,1"},
         .dtype = Dtype::kF16});
}

}  // namespace
}  // namespace sparsescope::cuda
