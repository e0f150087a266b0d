#include "kernels/cuda/gate_tables.h"

#include <algorithm>
#include <numeric>

namespace sparsescope::cuda {
namespace {

constexpr cudaStream_t kStream = nullptr;

// Cells and tokens of the blocks of all partitions.
struct BlockLists {
  std::vector<int32_t> cells_first{0}, cells, tokens;
  std::vector<TileRun> runs;

  void add(int64_t block, const KeyCells& cells_of_call, const std::vector<int32_t>& block_cells) {
    TileRun run{.tile = static_cast<int32_t>(block), .first = static_cast<int32_t>(tokens.size())};
    for (const int32_t number : block_cells) {
      const KeyCell& cell = cells_of_call.cells[number];
      const auto begin = cells_of_call.order.begin() + cell.first;
      tokens.insert(tokens.end(), begin, begin + cell.count);
      cells.push_back(number);
    }
    run.count = static_cast<int32_t>(tokens.size()) - run.first;
    runs.push_back(run);
    cells_first.push_back(static_cast<int32_t>(cells.size()));
  }
};

std::vector<std::vector<int32_t>> cells_by_block(const std::vector<int32_t>& block_of_cell,
                                                 int64_t num_blocks) {
  std::vector<std::vector<int32_t>> cells(num_blocks);
  for (size_t cell = 0; cell < block_of_cell.size(); ++cell) {
    cells[block_of_cell[cell]].push_back(static_cast<int32_t>(cell));
  }
  return cells;
}

}  // namespace

std::shared_ptr<const GateTables> make_gate_tables(const GateLayout& layout) {
  auto made = std::make_shared<GateTables>();
  GateTables& tables = *made;
  tables.num_partitions = static_cast<int32_t>(layout.partitions.size());
  tables.num_rows = static_cast<int32_t>(layout.row_token.size());
  tables.num_cells = layout.cells->num_video_cells;
  tables.row_blocks_on_host.assign(layout.row_blocks.begin(), layout.row_blocks.end());
  std::vector<int32_t> partition_first, self;
  BlockLists lists;
  for (size_t p = 0; p < layout.partitions.size(); ++p) {
    const GatePartition& partition = layout.partitions[p];
    const auto cells = cells_by_block(layout.cells->block_of_cell[p], partition.num_blocks);
    partition_first.push_back(static_cast<int32_t>(partition.first_block));
    self.insert(self.end(), partition.self.begin(), partition.self.end());
    for (int64_t c = 0; c < partition.num_blocks; ++c) {
      lists.add(partition.first_block + c, *layout.cells, cells[c]);
      tables.blocks_on_host.push_back({static_cast<int32_t>(p), partition_first.back(),
                                       static_cast<int32_t>(partition.num_blocks),
                                       static_cast<int32_t>(partition.size[c])});
    }
    tables.most_blocks = std::max(tables.most_blocks, static_cast<int32_t>(partition.num_blocks));
  }
  tables.num_blocks = static_cast<int32_t>(tables.blocks_on_host.size());
  std::vector<TileRun> row_runs(tables.num_rows);
  for (int32_t row = 0; row < tables.num_rows; ++row) row_runs[row] = {row, row, 1};
  std::vector<int32_t> cell_number(tables.num_cells + 1);
  std::iota(cell_number.begin(), cell_number.end(), 0);

  tables.blocks = to_device(tables.blocks_on_host, kStream);
  tables.partition_first = to_device(partition_first, kStream);
  tables.self = to_device(self, kStream);
  tables.row_blocks = to_device(layout.row_blocks, kStream);
  tables.row_token = to_device(layout.row_token, kStream);
  tables.row_runs = to_device(row_runs, kStream);
  tables.key_token = to_device(lists.tokens, kStream);
  tables.block_runs = to_device(lists.runs, kStream);
  tables.cells_first = to_device(lists.cells_first, kStream);
  tables.cells = to_device(lists.cells, kStream);
  tables.cell_number = to_device(cell_number, kStream);
  return made;
}

}  // namespace sparsescope::cuda
