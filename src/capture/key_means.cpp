#include "capture/key_means.h"

#include "capture/query_columns.h"

namespace sparsescope {
namespace {

// sums [cells, D] of one head's video keys
void sum_cells(const AttentionTensor& k, int64_t head, const CallLayout& layout,
               const RowStatsKernels& kernels, std::vector<double>& sums) {
  RowPointers rows;
  for (int32_t c = 0; c < layout.cells.num_video_cells; ++c) {
    const KeyCell& cell = layout.cells.cells[c];
    kernels.add_rows(rows.load(k, 0, head, &layout.cells.order[cell.first], cell.count, kernels),
                     cell.count, k.head_dim, &sums[c * k.head_dim]);
  }
}

// means [targets, D] from cell sums
void mean_of_cells(const std::vector<double>& sums, const std::vector<int32_t>& target,
                   const std::vector<float>& size, int64_t D, float* means) {
  std::vector<double> totals(size.size() * D);
  for (size_t cell = 0; cell < target.size(); ++cell) {
    double* total = &totals[target[cell] * D];
    const double* sum = &sums[cell * D];
    for (int64_t d = 0; d < D; ++d) total[d] += sum[d];
  }
  for (size_t i = 0; i < size.size(); ++i) {
    for (int64_t d = 0; d < D; ++d) {
      means[i * D + d] = static_cast<float>(totals[i * D + d] / size[i]);
    }
  }
}

}  // namespace

KeyMeans compute_key_means(const AttentionTensor& k, const CallLayout& layout,
                           const RowStatsKernels& kernels, ThreadPool& pool) {
  const int64_t D = k.head_dim;
  KeyMeans means{
      .head_dim = D, .num_tiles = layout.num_tiles, .partition_blocks = layout.partition_blocks};
  means.tiles.resize(k.heads * layout.num_tiles * D);
  means.blocks.resize(k.heads * layout.partition_blocks * D);
  pool.parallel_for(k.heads, [&](int64_t head, int) {
    std::vector<double> sums(layout.cells.num_video_cells * D);
    sum_cells(k, head, layout, kernels, sums);
    mean_of_cells(sums, layout.tile_of_cell, layout.tile_size, D,
                  &means.tiles[head * layout.num_tiles * D]);
    for (size_t p = 0; p < layout.partitions.size(); ++p) {
      const PartitionLayout& partition = layout.partitions[p];
      mean_of_cells(
          sums, layout.cells.block_of_cell[p], partition.size, D,
          means.blocks.data() + (head * layout.partition_blocks + partition.first_block) * D);
    }
  });
  return means;
}

}  // namespace sparsescope
