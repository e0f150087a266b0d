#include "capture/key_means.h"

#include "capture/query_columns.h"

namespace sparsescope {
namespace {

// sums [cells, D] of one head's video keys
void sum_cells(const AttentionTensor& k, int64_t head, const CallLayout& layout,
               std::vector<double>& sums) {
  const int64_t D = k.head_dim;
  std::vector<float> row(D);
  for (int32_t c = 0; c < layout.cells.num_video_cells; ++c) {
    const KeyCell& cell = layout.cells.cells[c];
    double* sum = &sums[c * D];
    for (int32_t i = 0; i < cell.count; ++i) {
      load_row(k, 0, head, layout.cells.order[cell.first + i], row.data());
      for (int64_t d = 0; d < D; ++d) sum[d] += row[d];
    }
  }
}

// means [targets, D] from cell sums
void mean_of_cells(const std::vector<double>& sums, const std::vector<int32_t>& target,
                   const std::vector<float>& size, int64_t D, float* means) {
  std::vector<double> totals(size.size() * D);
  for (size_t cell = 0; cell < target.size(); ++cell) {
    for (int64_t d = 0; d < D; ++d) totals[target[cell] * D + d] += sums[cell * D + d];
  }
  for (size_t i = 0; i < totals.size(); ++i) {
    means[i] = static_cast<float>(totals[i] / size[i / D]);
  }
}

}  // namespace

KeyMeans compute_key_means(const AttentionTensor& k, const CallLayout& layout, ThreadPool& pool) {
  const int64_t D = k.head_dim;
  KeyMeans means{
      .head_dim = D, .num_tiles = layout.num_tiles, .partition_blocks = layout.partition_blocks};
  means.tiles.resize(k.heads * layout.num_tiles * D);
  means.blocks.resize(k.heads * layout.partition_blocks * D);
  pool.parallel_for(k.heads, [&](int64_t head, int) {
    std::vector<double> sums(layout.cells.num_video_cells * D);
    sum_cells(k, head, layout, sums);
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
