#include "kernels/cuda/mass_columns.h"

#include <algorithm>
#include <numeric>

namespace sparsescope::cuda {
namespace {

constexpr int kSlots = 64;  // of a key block
constexpr int kLanes = 32;

int32_t blocks_of(const KeyCells& cells, int32_t partition) {
  const std::vector<int32_t>& blocks = cells.block_of_cell[partition];
  return *std::max_element(blocks.begin(), blocks.end());
}

class ColumnPlanner {
 public:
  ColumnPlanner(const KeyCells& cells, const std::vector<int32_t>& first_block,
                std::vector<int32_t> partitions)
      : cells_(cells), first_block_(first_block), partitions_(std::move(partitions)) {
    std::stable_sort(partitions_.begin(), partitions_.end(), [&](int32_t a, int32_t b) {
      return blocks_of(cells, a) > blocks_of(cells, b);
    });
  }

  MassColumns plan() {
    for (const int32_t cell : ordered_cells()) {
      const KeyCell& of_cell = cells_.cells[cell];
      for (int32_t i = 0; i < of_cell.count; ++i) {
        if (cell_of_slot_.size() % kSlots == 0) begin_key_block();
        plan_.tokens.push_back(cells_.order[of_cell.first + i]);
        plan_.valid.back() |= uint64_t{1} << (cell_of_slot_.size() % kSlots);
        cell_of_slot_.push_back(cell);
      }
    }
    if (!cell_of_slot_.empty()) make_columns();
    plan_.tokens.resize(plan_.valid.size() * kSlots, -1);
    plan_.first_group.push_back(num_groups());
    return std::move(plan_);
  }

 private:
  std::vector<int32_t> ordered_cells() const {
    std::vector<int32_t> order(cells_.num_video_cells);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      for (const int32_t p : partitions_) {
        const std::vector<int32_t>& block = cells_.block_of_cell[p];
        if (block[a] != block[b]) return block[a] < block[b];
      }
      return false;
    });
    return order;
  }

  void begin_key_block() {
    if (!cell_of_slot_.empty()) make_columns();
    plan_.valid.push_back(0);
  }

  int32_t num_groups() const { return static_cast<int32_t>(plan_.blocks.size()) / kColumns; }

  // Of the last key block.
  void make_columns() {
    plan_.first_group.push_back(num_groups());
    const auto first_slot = static_cast<int64_t>(plan_.valid.size() - 1) * kSlots;
    const auto first_column = static_cast<int64_t>(plan_.blocks.size());
    for (const int32_t p : partitions_) {
      const auto of_partition = std::ssize(plan_.blocks);
      for (int64_t slot = first_slot; slot < std::ssize(cell_of_slot_); ++slot) {
        const int32_t block = first_block_[p] + cells_.block_of_cell[p][cell_of_slot_[slot]];
        const auto begin = plan_.blocks.begin() + of_partition;
        const auto found = std::find(begin, plan_.blocks.end(), block);
        const int64_t column = found - plan_.blocks.begin() - first_column;
        if (found == plan_.blocks.end()) plan_.blocks.push_back(block);
        set_bit(first_column / kColumns, column, static_cast<int>(slot - first_slot));
      }
    }
    const auto ends = std::ssize(plan_.blocks) + kColumns - 1;
    plan_.blocks.resize(ends - ends % kColumns, -1);
  }

  void set_bit(int64_t first_group, int64_t column, int slot) {
    const int64_t group = first_group + column / kColumns;
    if (std::ssize(plan_.bits) <= group * kLanes) plan_.bits.resize((group + 1) * kLanes);
    const auto octet = column % kColumns / 8;
    const auto lane = column % 8 * 4 + slot % 8 / 2;
    const int first_bit = slot % 2 == 0 ? 14 : 30;
    plan_.bits[group * kLanes + lane] |= ColumnBits{1} << (32 * octet + first_bit - slot / 8);
  }

  const KeyCells& cells_;
  const std::vector<int32_t>& first_block_;
  std::vector<int32_t> partitions_;    // the finest first
  std::vector<int32_t> cell_of_slot_;  // of the slots with tokens
  MassColumns plan_;
};

}  // namespace

MassColumns make_mass_columns(const KeyCells& cells, const std::vector<int32_t>& first_block,
                              std::vector<int32_t> partitions) {
  return ColumnPlanner(cells, first_block, std::move(partitions)).plan();
}

}  // namespace sparsescope::cuda
