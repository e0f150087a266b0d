#include "kernels/cuda/host_masses.h"

#include <vector>

#include "kernels/cuda/device_buffer.h"

namespace sparsescope::cuda {
namespace {

// The chunk's arrays on the host; an item is a head and a row block.
struct HostChunk {
  std::vector<float> piece_sums, row_factor, lse, entropy, bins;

  HostChunk(const MassChunk& chunk, cudaStream_t stream) {
    const int64_t items = int64_t{chunk.num_heads} * chunk.num_row_blocks;
    const auto copy = [&](const float* device, int64_t lines) {
      std::vector<float> values(items * lines * kRowLanes);
      to_host(device, std::span<float>(values), stream);
      return values;
    };
    piece_sums = copy(chunk.piece_sums, chunk.num_pieces);
    row_factor = copy(chunk.row_factor, 1);
    lse = copy(chunk.lse, 1);
    entropy = copy(chunk.entropy, 1);
    bins = copy(chunk.bins, chunk.num_bins);
  }

  // mass [num_cells, 64] of an item, zero before.
  void combine_cells(const KeyPlan& plan, int64_t item, float* mass) const {
    const float* sums = piece_sums.data() + item * plan.num_pieces() * kRowLanes;
    const float* factor = row_factor.data() + item * kRowLanes;
    for (int32_t piece = 0; piece < plan.num_pieces(); ++piece) {
      const float* sum = sums + int64_t{piece} * kRowLanes;
      float* to = mass + int64_t{plan.piece_cell[piece]} * kRowLanes;
      for (int lane = 0; lane < kRowLanes; ++lane) to[lane] += sum[lane] * factor[lane];
    }
  }
};

}  // namespace

void deliver_to_host(const DenseAttentionParams& params, const KeyPlan& plan,
                     const MassChunk& chunk, int32_t first_group, int32_t num_groups,
                     cudaStream_t stream) {
  const HostChunk host(chunk, stream);
  const TokenGrid& grid = params.cells->tiles.grid();
  const int64_t mass_floats = static_cast<int64_t>(params.cells->cells.size()) * kRowLanes;
  std::vector<float> mass;
  std::vector<RowBlockMasses> blocks;
  for (int32_t h = 0; h < chunk.num_heads; ++h) {
    const int32_t head = chunk.first_head + h;
    for (int32_t g = first_group; g < first_group + num_groups; ++g) {
      const RowGroup& group = params.rows->groups[g];
      mass.assign(group.num_blocks * mass_floats, 0.0f);
      blocks.clear();
      for (int32_t i = 0; i < group.num_blocks; ++i) {
        const int32_t block_idx = group.first_block + i;
        const int64_t item = int64_t{h} * chunk.num_row_blocks + block_idx - chunk.first_row_block;
        host.combine_cells(plan, item, mass.data() + i * mass_floats);
        const RowBlock& rows = params.rows->blocks[block_idx];
        const float* bins = host.bins.data() + item * chunk.num_bins * kRowLanes;
        blocks.push_back({.first_row = rows.first,
                          .num_rows = rows.count,
                          .mass = mass.data() + i * mass_floats,
                          .lse = host.lse.data() + item * kRowLanes,
                          .entropy = host.entropy.data() + item * kRowLanes,
                          .mass_t = bins,
                          .mass_h = bins + grid.t * kRowLanes,
                          .mass_w = bins + (grid.t + grid.h) * kRowLanes});
      }
      params.sink.consume(params.sink.context, 0,
                          {.batch = head / params.q.heads,
                           .head = head % params.q.heads,
                           .group = g,
                           .num_blocks = group.num_blocks,
                           .blocks = blocks.data()});
    }
  }
}

}  // namespace sparsescope::cuda
