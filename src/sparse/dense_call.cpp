#include "sparse/dense_call.h"

#include <algorithm>
#include <numeric>

#include "core/key_cells.h"
#include "core/row_groups.h"
#include "kernels/kernel_table.h"

namespace sparsescope {
namespace {

// Receives row groups; a group holds all rows of its tiles, so each row of the map is written once.
class MassMap {
 public:
  MassMap(const RowGroups& rows, int64_t batch, int64_t heads, int64_t num_tiles)
      : rows_(rows),
        heads_(heads),
        num_tiles_(num_tiles),
        values_(batch * heads * num_tiles * num_tiles) {}

  MassSink sink() {
    return {this, [](void* context, int, const RowGroupMasses& masses) {
              static_cast<MassMap*>(context)->add(masses);
            }};
  }

  std::vector<float> take() { return std::move(values_); }

 private:
  void add(const RowGroupMasses& masses) {
    const RowGroup& group = rows_.groups[masses.group];
    for (int32_t i = 0; i < group.num_tiles; ++i) {
      const TileRows& tile = rows_.tiles[group.first_tile + i];
      const int64_t map_row = (masses.batch * heads_ + masses.head) * num_tiles_ + tile.tile;
      for (int64_t j = 0; j < num_tiles_; ++j) {
        values_[map_row * num_tiles_ + j] =
            static_cast<float>(sum_over_rows(masses, tile, j) / tile.count);
      }
    }
  }

  static double sum_over_rows(const RowGroupMasses& masses, const TileRows& tile, int64_t cell) {
    double sum = 0;
    for (int32_t b = 0; b < masses.num_blocks; ++b) {
      const RowBlockMasses& block = masses.blocks[b];
      const int32_t first = std::max(tile.first - block.first_row, 0);
      const int32_t last = std::min(tile.first + tile.count - block.first_row, block.num_rows);
      for (int32_t lane = first; lane < last; ++lane) sum += block.mass[cell * kRowLanes + lane];
    }
    return sum;
  }

  const RowGroups& rows_;
  int64_t heads_, num_tiles_;
  std::vector<float> values_;  // [B, H, N, N]
};

}  // namespace

std::vector<float> run_dense_call(const DenseCall& call, const std::optional<TileShape>& mass_block,
                                  const MutableAttentionTensor& out, float* lse, Impl impl,
                                  ThreadPool& pool) {
  const TileGrid tiles(call.grid, mass_block.value_or(TileShape{}));
  const KeyCells cells = make_key_cells(tiles, {}, call.prefix, call.suffix);
  const RowGroups rows = make_row_groups(tiles, call.prefix, call.suffix);
  MassMap map(rows, mass_block ? call.q.batch : 0, call.q.heads, tiles.num_tiles());
  attention_kernels(impl).dense({.q = call.q,
                                 .k = call.k,
                                 .v = call.v,
                                 .scale = call.scale,
                                 .out = out,
                                 .lse = lse,
                                 .cells = &cells,
                                 .rows = &rows,
                                 .sink = mass_block ? map.sink() : MassSink{}},
                                pool);
  return map.take();
}

BlockLists dense_lists(int64_t batch, int64_t heads, int64_t tokens) {
  const auto count = static_cast<int32_t>(tokens);
  BlockLists lists{.ranges = {{0, count}}, .range_ids = {0}};
  lists.key_order.resize(tokens);
  std::iota(lists.key_order.begin(), lists.key_order.end(), 0);
  lists.rows = lists.key_order;
  for (int32_t first = 0; first < count; first += kRowLanes) {
    lists.items.push_back({first, std::min(kRowLanes, count - first), 0, 1});
  }
  for (int32_t b = 0; b < batch; ++b) {
    for (int32_t h = 0; h < heads; ++h) {
      for (int32_t i = 0; i < static_cast<int32_t>(lists.items.size()); ++i) {
        lists.strands.push_back({b, h, i, 1, false});
      }
    }
  }
  return lists;
}

}  // namespace sparsescope
