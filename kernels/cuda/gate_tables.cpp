#include "kernels/cuda/gate_tables.h"

#include <algorithm>
#include <numeric>

namespace sparsescope::cuda {
namespace {

constexpr cudaStream_t kStream = nullptr;

using Lists = std::vector<std::vector<int32_t>>;

// members[c]: those whose target is c, ascending.
template <typename Targets>
Lists members_of(const Targets& targets, int64_t count) {
  Lists members(count);
  for (size_t i = 0; i < targets.size(); ++i) {
    members[targets[i]].push_back(static_cast<int32_t>(i));
  }
  return members;
}

// Tokens and parts of the blocks of all partitions.
struct BlockLists {
  std::vector<int32_t> parts_first{0}, parts, tokens;
  std::vector<TileRun> runs;

  void add_parts(const std::vector<int32_t>& of_block, int64_t first_part) {
    for (const int32_t part : of_block) parts.push_back(static_cast<int32_t>(first_part) + part);
    parts_first.push_back(static_cast<int32_t>(parts.size()));
  }
  void add_tokens(const KeyCells& cells, const std::vector<int32_t>& of_block) {
    TileRun run{.tile = static_cast<int32_t>(runs.size()),
                .first = static_cast<int32_t>(tokens.size())};
    for (const int32_t number : of_block) {
      const KeyCell& cell = cells.cells[number];
      const auto begin = cells.order.begin() + cell.first;
      tokens.insert(tokens.end(), begin, begin + cell.count);
    }
    run.count = static_cast<int32_t>(tokens.size()) - run.first;
    runs.push_back(run);
  }
};

// How many partitions finer than each one are summed before it.
std::vector<int32_t> depths_of(const std::vector<GatePartition>& partitions) {
  std::vector<int32_t> depths;
  for (const GatePartition& partition : partitions) {
    int32_t depth = 0;
    for (int64_t p = partition.finer; p >= 0; p = partitions[p].finer) ++depth;
    depths.push_back(depth);
  }
  return depths;
}

// Blocks by the depth of their partition.
void list_blocks(const std::vector<GatePartition>& partitions, GateTables& tables) {
  const std::vector<int32_t> depths = depths_of(partitions);
  const int32_t deepest = *std::max_element(depths.begin(), depths.end());
  std::vector<int32_t> listed;
  for (int32_t depth = 0; depth <= deepest; ++depth) {
    for (int32_t block = 0; block < tables.num_blocks; ++block) {
      if (depths[tables.blocks_on_host[block].partition] == depth) listed.push_back(block);
    }
    tables.lists.push_back(static_cast<int32_t>(listed.size()));
  }
  tables.listed = to_device(listed, kStream);
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
    const Lists cells = members_of(layout.cells->block_of_cell[p], partition.num_blocks);
    const bool nests = partition.finer >= 0;
    const Lists parts = nests ? members_of(partition.block_of_finer, partition.num_blocks) : cells;
    const int64_t first_part = nests ? layout.partitions[partition.finer].first_block : 0;
    partition_first.push_back(static_cast<int32_t>(partition.first_block));
    self.insert(self.end(), partition.self.begin(), partition.self.end());
    for (int64_t c = 0; c < partition.num_blocks; ++c) {
      lists.add_tokens(*layout.cells, cells[c]);
      lists.add_parts(parts[c], first_part);
      tables.blocks_on_host.push_back({static_cast<int32_t>(p), partition_first.back(),
                                       static_cast<int32_t>(partition.num_blocks),
                                       static_cast<int32_t>(partition.size[c])});
    }
    tables.most_blocks = std::max(tables.most_blocks, static_cast<int32_t>(partition.num_blocks));
  }
  tables.num_blocks = static_cast<int32_t>(tables.blocks_on_host.size());
  list_blocks(layout.partitions, tables);
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
  tables.parts_first = to_device(lists.parts_first, kStream);
  tables.parts = to_device(lists.parts, kStream);
  tables.cell_number = to_device(cell_number, kStream);
  return made;
}

}  // namespace sparsescope::cuda
