#include "kernels/cuda/reduction_tables.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace sparsescope::cuda {
namespace {

constexpr cudaStream_t kStream = nullptr;

DeviceAxis make_axis(const AxisEntries& entries, int32_t first_bin) {
  DeviceAxis axis;
  axis.first_on_host = entries.first;
  axis.extent = static_cast<int32_t>(entries.extent);
  axis.first_bin = first_bin;
  std::vector<int32_t> by_coordinate(entries.coordinate.size());
  std::iota(by_coordinate.begin(), by_coordinate.end(), 0);
  std::stable_sort(by_coordinate.begin(), by_coordinate.end(), [&](int32_t a, int32_t b) {
    return entries.coordinate[a] < entries.coordinate[b];
  });
  std::vector<int32_t> coordinate_first(entries.extent + 1);
  for (const int32_t coordinate : entries.coordinate) ++coordinate_first[coordinate + 1];
  std::partial_sum(coordinate_first.begin(), coordinate_first.end(), coordinate_first.begin());
  axis.first = to_device(entries.first, kStream);
  axis.lanes = to_device(entries.lanes, kStream);
  axis.coordinate_first = to_device(coordinate_first, kStream);
  axis.by_coordinate = to_device(by_coordinate, kStream);
  return axis;
}

// Tiles come in the order of positions, and so do blocks.
void add_spans(const RowGroups& rows, ReductionTables& tables) {
  std::vector<LaneSpan> spans;
  std::vector<int32_t> first;
  std::vector<uint8_t> slot(int64_t{tables.num_video_blocks} * kRowLanes);
  auto tile = rows.tiles.begin();
  for (int32_t b = 0; b < tables.num_video_blocks; ++b) {
    const RowBlock& block = rows.blocks[b];
    const int32_t block_end = block.first + block.count;
    first.push_back(static_cast<int32_t>(spans.size()));
    while (tile != rows.tiles.end() && tile->first < block_end) {
      const int32_t tile_end = tile->first + tile->count;
      const int32_t from = std::max(tile->first, block.first), to = std::min(tile_end, block_end);
      const auto number = static_cast<uint8_t>(std::ssize(spans) - first.back());
      std::fill_n(slot.begin() + int64_t{b} * kRowLanes + (from - block.first), to - from, number);
      spans.push_back(
          {tile->tile, from - block.first, to - from, tile->count, tile_end <= block_end ? 1 : 0});
      if (tile_end > block_end) break;
      ++tile;
    }
    tables.most_spans =
        std::max(tables.most_spans, static_cast<int32_t>(spans.size()) - first.back());
  }
  first.push_back(static_cast<int32_t>(spans.size()));
  tables.span_first = to_device(first, kStream);
  tables.spans = to_device(spans, kStream);
  tables.slot = to_device(slot, kStream);
}

void add_tiles(const ReductionLayout& layout, ReductionTables& tables) {
  std::vector<TileRun> runs;
  std::vector<float> sizes(tables.num_tiles);
  for (const TileRows& tile : layout.rows->tiles) {
    const Box box = layout.cells->tiles.box(tile.tile);
    runs.push_back({tile.tile, tile.first, tile.count, box.h, box.w});
    sizes[tile.tile] = static_cast<float>(tile.count);
  }
  tables.runs = to_device(runs, kStream);
  tables.sizes = to_device(sizes, kStream);
  tables.tile_first = to_device(layout.cells->tile_first, kStream);
}

ResultPlaces make_places(const ReductionTables& tables) {
  ResultPlaces places;
  const auto take = [&](int64_t count) {
    const int64_t place = places.size;
    places.size += count;
    return place;
  };
  places.tile_orders = take(4 * tables.num_fractions + 4);
  places.coverage_row = take(tables.num_fractions);
  places.rows = take(2);
  places.difference = take(1);
  places.key_mass = take(tables.num_tiles);
  places.offset_mass = take(tables.num_tiles);
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t extent = tables.axes[axis].extent;
    places.pairs[axis] = take(extent * extent);
  }
  places.windows = take(tables.num_windows);
  return places;
}

}  // namespace

std::shared_ptr<const ReductionTables> make_reduction_tables(const ReductionLayout& layout) {
  const RowGroups& rows = *layout.rows;
  const TileGrid& tiles = layout.cells->tiles;
  SPARSESCOPE_ASSERT(layout.kept.size() == layout.cuts.size() &&
                     std::ssize(layout.kept) <= kMaxFractions &&
                     std::ssize(layout.windows) <= kMaxWindows);
  auto made = std::make_shared<ReductionTables>();
  ReductionTables& tables = *made;
  tables.num_tiles = static_cast<int32_t>(tiles.num_tiles());
  tables.num_video_blocks = static_cast<int32_t>(layout.sampled_first.size()) - 1;
  tables.video_tokens = tiles.grid().tokens();
  tables.tiles = {static_cast<int32_t>(tiles.tiles_t()), static_cast<int32_t>(tiles.tiles_h()),
                  static_cast<int32_t>(tiles.tiles_w())};
  tables.num_fractions = static_cast<int32_t>(layout.kept.size());
  tables.num_windows = static_cast<int32_t>(layout.windows.size());
  tables.groups_on_host.assign(rows.groups.begin(), rows.groups.begin() + rows.num_video_groups);
  tables.sampled_first_on_host.assign(layout.sampled_first.begin(), layout.sampled_first.end());

  tables.groups = to_device(tables.groups_on_host, kStream);
  tables.blocks = to_device(rows.blocks, kStream);
  tables.order = to_device(rows.order, kStream);
  add_tiles(layout, tables);
  add_spans(rows, tables);
  tables.sampled_first = to_device(layout.sampled_first, kStream);
  tables.sampled_lane = to_device(layout.sampled_lane, kStream);
  int32_t first_bin = 0;
  for (int axis = 0; axis < 3; ++axis) {
    tables.axes[axis] = make_axis(layout.axes[axis], first_bin);
    first_bin += tables.axes[axis].extent;
  }
  std::vector<Window> windows;
  for (const TileShape& window : layout.windows) {
    windows.push_back({static_cast<int32_t>(window.t), static_cast<int32_t>(window.h),
                       static_cast<int32_t>(window.w)});
  }
  tables.windows = to_device(windows, kStream);
  tables.kept = to_device(layout.kept, kStream);
  tables.cuts = to_device(layout.cuts, kStream);
  tables.places = make_places(tables);
  return made;
}

}  // namespace sparsescope::cuda
