#include "sparse/device_token_layout.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/error.h"
#include "sparse/bsa_queries.h"

namespace sparsescope {
namespace {

TileOffsets tile_offsets(const std::vector<int32_t>& rows_of_tile) {
  TileOffsets offsets{.rows = {0}, .items = {0}};
  for (const int32_t rows : rows_of_tile) {
    offsets.rows.push_back(offsets.rows.back() + rows);
    offsets.items.push_back(offsets.items.back() + (rows + kRowLanes - 1) / kRowLanes);
  }
  offsets.device_rows = cuda::DeviceArray(offsets.rows);
  offsets.device_items = cuda::DeviceArray(offsets.items);
  return offsets;
}

QueryTables make_query_tables(const TokenLayout& layout, const BsaQueryOptions& options) {
  QueryTables tables{.options = options};
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    tables.max_slots = std::max(tables.max_slots, layout.ranges[tile].count);
  }
  // Tiles of equal extents are cut alike.
  std::map<std::tuple<int32_t, int32_t, int32_t>, int32_t> shapes;
  std::vector<cuda::QuerySlot> slots;
  std::vector<int32_t> shape_of_tile, kept_of_shape, kept_of_tile;
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    const Box box = layout.tiles.box(tile);
    const auto [known, is_new] =
        shapes.try_emplace({box.t, box.h, box.w}, static_cast<int32_t>(shapes.size()));
    if (is_new) {
      const QueryWindows windows = query_windows(box, layout.tiles.shape(), options);
      const size_t first = slots.size();
      slots.resize(first + tables.max_slots);
      int64_t kept = 0;
      for (int32_t window = 0; window < std::ssize(windows.slots); ++window) {
        const int64_t quota = query_quota(std::ssize(windows.slots[window]), options);
        kept += quota;
        for (const int32_t slot : windows.slots[window]) {
          slots[first + slot] = {window, static_cast<int32_t>(quota), windows.reference[slot]};
        }
      }
      kept_of_shape.push_back(static_cast<int32_t>(kept));
    }
    shape_of_tile.push_back(known->second);
    kept_of_tile.push_back(kept_of_shape[known->second]);
  }
  tables.kept = tile_offsets(kept_of_tile);
  tables.slots = cuda::DeviceArray(slots);
  tables.shape_of_tile = cuda::DeviceArray(shape_of_tile);
  return tables;
}

}  // namespace

DeviceTokenLayout::DeviceTokenLayout(std::shared_ptr<const TokenLayout> layout)
    : layout_(std::move(layout)) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, layout_->num_tiles() <= cuda::kMaxSelectTiles,
                    "selection on a GPU: at most {} tiles or blocks, found {}",
                    cuda::kMaxSelectTiles, layout_->num_tiles());
  std::vector<int32_t> rows_of_tile, first_segment{0};
  std::vector<cuda::RowSegment> segments;
  for (int64_t tile = 0; tile < layout_->num_tiles(); ++tile) {
    const KeyRange& range = layout_->ranges[tile];
    rows_of_tile.push_back(range.count);
    for (int32_t done = 0; done < range.count; done += cuda::kSegmentRows) {
      segments.push_back({range.first + done, std::min(range.count - done, cuda::kSegmentRows)});
    }
    first_segment.push_back(static_cast<int32_t>(segments.size()));
  }
  order_ = cuda::DeviceArray(layout_->order);
  ranges_ = cuda::DeviceArray(layout_->ranges);
  tile_of_ = cuda::DeviceArray(blocks_of_positions(*layout_));
  all_rows_ = tile_offsets(rows_of_tile);
  segments_ = cuda::DeviceArray(segments);
  first_segment_ = cuda::DeviceArray(first_segment);
}

cuda::SelectLayout DeviceTokenLayout::view() const {
  return {.order = order_.data(),
          .ranges = ranges_.data(),
          .tile_of = tile_of_.data(),
          .num_tiles = static_cast<int32_t>(layout_->num_tiles()),
          .num_ranges = static_cast<int32_t>(ranges_.size()),
          .video_tokens = static_cast<int32_t>(layout_->video_tokens()),
          .text_tokens = static_cast<int32_t>(layout_->text_tokens())};
}

const QueryTables& DeviceTokenLayout::query_tables(const BsaQueryOptions& options) {
  if (query_tables_ == nullptr || query_tables_->options != options) {
    query_tables_ = std::make_unique<QueryTables>(make_query_tables(*layout_, options));
  }
  return *query_tables_;
}

cuda::DeviceArray<float> DeviceTokenLayout::means(const AttentionTensor& x,
                                                  const DevicePlanes& planes) const {
  const int64_t dim = cuda::padded_dim(x.head_dim);
  const bool whole = segments_.size() == layout_->num_tiles();
  cuda::DeviceArray<float> sums(whole ? 0 : planes.size() * segments_.size() * dim);
  cuda::DeviceArray<float> means(planes.size() * layout_->num_tiles() * dim);
  cuda::tile_means({.x = x,
                    .planes = planes.view(),
                    .layout = view(),
                    .segments = segments_.data(),
                    .first_segment = first_segment_.data(),
                    .num_segments = static_cast<int32_t>(segments_.size()),
                    .sums = sums.data(),
                    .means = means.data()});
  return means;
}

}  // namespace sparsescope
