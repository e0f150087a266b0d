#include "capture/call_layout.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

// Coordinate along an axis (0 t, 1 h, 2 w) of the video row at a position of the row order.
int32_t row_coordinate(const CallLayout& layout, int axis, int64_t position) {
  const TokenGrid& grid = layout.grid();
  const int64_t raster = layout.rows.order[position] - layout.prefix;
  if (axis == 0) return static_cast<int32_t>(raster / (grid.h * grid.w));
  if (axis == 1) return static_cast<int32_t>(raster / grid.w % grid.h);
  return static_cast<int32_t>(raster % grid.w);
}

AxisLanes make_axis_lanes(const CallLayout& layout, int axis) {
  const TokenGrid& grid = layout.grid();
  AxisLanes lanes;
  lanes.extent = axis == 0 ? grid.t : axis == 1 ? grid.h : grid.w;
  for (int64_t b = 0; b < layout.num_video_blocks; ++b) {
    const RowBlock& block = layout.rows.blocks[b];
    const size_t first = lanes.coordinate.size();
    lanes.first.push_back(static_cast<int32_t>(first));
    for (int32_t lane = 0; lane < block.count; ++lane) {
      const int32_t coordinate = row_coordinate(layout, axis, block.first + lane);
      const auto begin = lanes.coordinate.begin() + static_cast<int64_t>(first);
      const auto found = std::find(begin, lanes.coordinate.end(), coordinate);
      const size_t entry = static_cast<size_t>(found - lanes.coordinate.begin());
      if (found == lanes.coordinate.end()) {
        lanes.coordinate.push_back(coordinate);
        lanes.weight.resize(lanes.weight.size() + kRowLanes);
      }
      lanes.weight[entry * kRowLanes + lane] = 1.0f;
    }
  }
  lanes.first.push_back(static_cast<int32_t>(lanes.coordinate.size()));
  return lanes;
}

// [N] from the blocks of the cells, or nothing where a tile lies in several blocks.
std::vector<int32_t> find_block_of_tile(const CallLayout& layout,
                                        const std::vector<int32_t>& block_of_cell) {
  std::vector<int32_t> blocks(layout.num_tiles, -1);
  for (int32_t cell = 0; cell < layout.cells.num_video_cells; ++cell) {
    int32_t& block = blocks[layout.tile_of_cell[cell]];
    if (block >= 0 && block != block_of_cell[cell]) return {};
    block = block_of_cell[cell];
  }
  return blocks;
}

// idx: of the partition
PartitionLayout make_partition_layout(const CallLayout& layout, const Partition& partition,
                                      size_t idx, int64_t first_block) {
  const TileGrid blocks = partition_blocks(partition, layout.grid());
  PartitionLayout result;
  result.name = to_string(partition);
  result.blocks = blocks.num_tiles();
  SPARSESCOPE_CHECK(ErrorKind::kUsage, result.blocks <= kMaxRankedRows,
                    "partition {}: expected at most {} blocks on grid {}, found {}", result.name,
                    kMaxRankedRows, to_string(layout.grid()), result.blocks);
  result.first_block = first_block;
  result.block_of_tile = find_block_of_tile(layout, layout.cells.block_of_cell[idx]);
  std::vector<int32_t> rank_of_token(layout.video_tokens), block_of_token(layout.video_tokens);
  int32_t rank = 0;
  for (int64_t block = 0; block < result.blocks; ++block) {
    const std::vector<int32_t> tokens = blocks.tokens_of(block);
    result.size.push_back(static_cast<float>(tokens.size()));
    for (const int32_t token : tokens) {
      rank_of_token[token] = rank++;
      block_of_token[token] = static_cast<int32_t>(block);
    }
  }
  for (const int32_t token : layout.sampled.token) {
    result.self.push_back(block_of_token[token - layout.prefix]);
    result.rank.push_back(rank_of_token[token - layout.prefix]);
  }
  return result;
}

// [blocks of finer] the block of coarse that each lies in, or nothing where one lies in several.
std::vector<int32_t> find_nesting(const CallLayout& layout, size_t coarse, size_t finer) {
  const std::vector<int32_t>& outer = layout.cells.block_of_cell[coarse];
  const std::vector<int32_t>& inner = layout.cells.block_of_cell[finer];
  std::vector<int32_t> blocks(layout.partitions[finer].blocks, -1);
  for (size_t cell = 0; cell < outer.size(); ++cell) {
    int32_t& block = blocks[inner[cell]];
    if (block >= 0 && block != outer[cell]) return {};
    block = outer[cell];
  }
  return blocks;
}

std::vector<float> find_finer_weights(const PartitionLayout& coarse, const PartitionLayout& finer) {
  std::vector<int64_t> inside(coarse.blocks);
  for (const int32_t block : coarse.block_of_finer) ++inside[block];
  for (int64_t i = 0; i < finer.blocks; ++i) {
    const int32_t block = coarse.block_of_finer[i];
    const auto count = static_cast<uint64_t>(inside[block]);
    if (!std::has_single_bit(count)) return {};
    if (finer.size[i] * static_cast<float>(count) != coarse.size[block]) return {};
  }
  std::vector<float> weights;
  for (const int64_t count : inside) weights.push_back(1.0f / static_cast<float>(count));
  return weights;
}

void nest_partitions(CallLayout& layout) {
  std::vector<PartitionLayout>& partitions = layout.partitions;
  layout.finest_first.resize(partitions.size());
  std::iota(layout.finest_first.begin(), layout.finest_first.end(), 0);
  std::stable_sort(
      layout.finest_first.begin(), layout.finest_first.end(),
      [&](int64_t a, int64_t b) { return partitions[a].blocks > partitions[b].blocks; });
  for (size_t p = 0; p < partitions.size(); ++p) {
    PartitionLayout& partition = partitions[p];
    for (size_t q = 0; q < partitions.size(); ++q) {
      const bool nearer =
          partition.finer < 0 || partitions[q].blocks < partitions[partition.finer].blocks;
      if (partitions[q].blocks <= partition.blocks || !nearer) continue;
      std::vector<int32_t> nesting = find_nesting(layout, p, q);
      if (nesting.empty()) continue;
      partition.finer = static_cast<int64_t>(q);
      partition.block_of_finer = std::move(nesting);
    }
    if (partition.finer >= 0) {
      partition.finer_weight = find_finer_weights(partition, partitions[partition.finer]);
    }
  }
}

int64_t sampled_count(const CallLayout& layout, const TileShape& tile, int64_t rows_per_tile) {
  const int64_t volume = tile.t * tile.h * tile.w;
  if (rows_per_tile == 0 || rows_per_tile >= volume) return layout.video_tokens;
  return std::max<int64_t>(1, layout.video_tokens * rows_per_tile / volume);
}

void describe_tiles(CallLayout& layout) {
  const TileGrid& tiles = layout.cells.tiles;
  for (int64_t tile = 0; tile < layout.num_tiles; ++tile) {
    const Box box = tiles.box(tile);
    layout.tile_size.push_back(static_cast<float>(box.volume()));
    const int64_t raster =
        tiles.grid().raster(box.t0 + box.t / 2, box.h0 + box.h / 2, box.w0 + box.w / 2);
    layout.centre_token.push_back(static_cast<int32_t>(layout.prefix + raster));
  }
  for (int32_t cell = 0; cell < layout.cells.num_video_cells; ++cell) {
    layout.tile_of_cell.push_back(layout.cells.cells[cell].tile);
  }
  layout.cells_are_tiles = layout.cells.num_video_cells == layout.num_tiles;
}

}  // namespace

CallLayout make_call_layout(const CallShape& shape, const TileShape& tile,
                            const std::vector<Partition>& partitions, int64_t rows_per_tile,
                            uint64_t seed) {
  const TileGrid tiles(shape.grid, tile);
  CallLayout layout{.cells = make_key_cells(tiles, partitions, shape.prefix, shape.suffix),
                    .rows = make_row_groups(tiles, shape.prefix, shape.suffix),
                    .prefix = shape.prefix,
                    .suffix = shape.suffix,
                    .video_tokens = shape.grid.tokens(),
                    .num_tiles = tiles.num_tiles()};
  for (int32_t group = 0; group < layout.rows.num_video_groups; ++group) {
    layout.num_video_blocks += layout.rows.groups[group].num_blocks;
  }
  layout.sampled = sample_rows(layout.rows, layout.video_tokens,
                               sampled_count(layout, tile, rows_per_tile), seed);
  describe_tiles(layout);
  for (int axis = 0; axis < 3; ++axis) layout.axes[axis] = make_axis_lanes(layout, axis);
  for (size_t p = 0; p < partitions.size(); ++p) {
    layout.partitions.push_back(
        make_partition_layout(layout, partitions[p], p, layout.partition_blocks));
    layout.partition_blocks += layout.partitions.back().blocks;
  }
  nest_partitions(layout);
  return layout;
}

}  // namespace sparsescope
