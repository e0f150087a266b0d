#include "kernels/cuda/gate_tables.h"

#include <algorithm>
#include <utility>

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

// Tokens, runs of tokens and finer blocks of the blocks of all partitions.
struct BlockLists {
  std::vector<int32_t> tokens;
  std::vector<KeyRun> key_runs;
  Lists runs, parts;  // [blocks]

  void add_cells(const KeyCells& cells, const std::vector<int32_t>& of_block) {
    auto first = static_cast<int32_t>(tokens.size());
    for (const int32_t number : of_block) {
      const KeyCell& cell = cells.cells[number];
      const auto begin = cells.order.begin() + cell.first;
      tokens.insert(tokens.end(), begin, begin + cell.count);
    }
    runs.emplace_back();
    parts.emplace_back();
    const auto end = static_cast<int32_t>(tokens.size());
    for (; first < end; first += kMaxKeyRun) {
      runs.back().push_back(static_cast<int32_t>(key_runs.size()));
      key_runs.push_back({first, std::min(kMaxKeyRun, end - first)});
    }
  }
  void add_finer(const std::vector<int32_t>& of_block, int64_t first_part) {
    parts.emplace_back();
    for (const int32_t part : of_block) {
      parts.back().push_back(static_cast<int32_t>(first_part) + part);
    }
    runs.emplace_back();
  }
  // Those of partitions with a finer one, whose own runs are known.
  void join_runs(const std::vector<int32_t>& blocks) {
    for (const int32_t block : blocks) {
      for (const int32_t part : parts[block]) {
        runs[block].insert(runs[block].end(), runs[part].begin(), runs[part].end());
      }
    }
  }
};

// first [lists + 1] into items.
struct FlatLists {
  std::vector<int32_t> first{0}, items;
  explicit FlatLists(const Lists& lists) {
    for (const std::vector<int32_t>& list : lists) {
      items.insert(items.end(), list.begin(), list.end());
      first.push_back(static_cast<int32_t>(items.size()));
    }
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
std::vector<int32_t> list_blocks(const std::vector<GatePartition>& partitions, GateTables& tables) {
  const std::vector<int32_t> depths = depths_of(partitions);
  const int32_t deepest = *std::max_element(depths.begin(), depths.end());
  std::vector<int32_t> listed;
  for (int32_t depth = 0; depth <= deepest; ++depth) {
    for (int32_t block = 0; block < tables.num_blocks; ++block) {
      if (depths[tables.blocks_on_host[block].partition] == depth) listed.push_back(block);
    }
    tables.lists.push_back(static_cast<int32_t>(listed.size()));
  }
  return listed;
}

void plan_columns(const GateLayout& layout, const std::vector<int32_t>& partition_first,
                  GateTables& tables) {
  std::vector<int32_t> finest;
  for (size_t p = 0; p < layout.partitions.size(); ++p) {
    if (layout.partitions[p].finer < 0) finest.push_back(static_cast<int32_t>(p));
  }
  const MassColumns plan = make_mass_columns(*layout.cells, partition_first, std::move(finest));
  tables.num_key_blocks = plan.num_key_blocks();
  tables.column_tokens = to_device(plan.tokens, kStream);
  tables.column_valid = to_device(plan.valid, kStream);
  tables.first_group = to_device(plan.first_group, kStream);
  tables.columns = to_device(plan.blocks, kStream);
  tables.column_bits = to_device(plan.bits, kStream);
}

}  // namespace

std::shared_ptr<const GateTables> make_gate_tables(const GateLayout& layout) {
  auto made = std::make_shared<GateTables>();
  GateTables& tables = *made;
  tables.num_partitions = static_cast<int32_t>(layout.partitions.size());
  tables.num_rows = static_cast<int32_t>(layout.row_token.size());
  std::vector<int32_t> partition_first, self;
  BlockLists lists;
  for (size_t p = 0; p < layout.partitions.size(); ++p) {
    const GatePartition& partition = layout.partitions[p];
    const bool nests = partition.finer >= 0;
    const Lists members = nests ? members_of(partition.block_of_finer, partition.num_blocks)
                                : members_of(layout.cells->block_of_cell[p], partition.num_blocks);
    partition_first.push_back(static_cast<int32_t>(partition.first_block));
    self.insert(self.end(), partition.self.begin(), partition.self.end());
    for (int64_t c = 0; c < partition.num_blocks; ++c) {
      if (nests) {
        lists.add_finer(members[c], layout.partitions[partition.finer].first_block);
      } else {
        lists.add_cells(*layout.cells, members[c]);
      }
      tables.blocks_on_host.push_back({static_cast<int32_t>(p), partition_first.back(),
                                       static_cast<int32_t>(partition.num_blocks),
                                       static_cast<int32_t>(partition.size[c])});
    }
    tables.partitions_on_host.push_back(tables.blocks_on_host[partition.first_block]);
    tables.most_blocks = std::max(tables.most_blocks, static_cast<int32_t>(partition.num_blocks));
  }
  tables.num_blocks = static_cast<int32_t>(tables.blocks_on_host.size());
  const std::vector<int32_t> listed = list_blocks(layout.partitions, tables);
  lists.join_runs({listed.begin() + tables.lists[0], listed.end()});
  const FlatLists runs(lists.runs), parts(lists.parts);
  std::vector<TileRun> row_runs(tables.num_rows);
  for (int32_t row = 0; row < tables.num_rows; ++row) row_runs[row] = {row, row, 1};
  plan_columns(layout, partition_first, tables);

  tables.blocks = to_device(tables.blocks_on_host, kStream);
  tables.partition_first = to_device(partition_first, kStream);
  tables.self = to_device(self, kStream);
  tables.row_token = to_device(layout.row_token, kStream);
  tables.row_runs = to_device(row_runs, kStream);
  tables.key_token = to_device(lists.tokens, kStream);
  tables.num_runs = static_cast<int32_t>(lists.key_runs.size());
  tables.key_runs = to_device(lists.key_runs, kStream);
  tables.runs_first = to_device(runs.first, kStream);
  tables.runs = to_device(runs.items, kStream);
  tables.parts_first = to_device(parts.first, kStream);
  tables.parts = to_device(parts.items, kStream);
  tables.listed = to_device(listed, kStream);
  return made;
}

}  // namespace sparsescope::cuda
