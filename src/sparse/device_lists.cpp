#include "sparse/device_lists.h"

#include <limits>
#include <numeric>

#include "core/error.h"
#include "kernels/cuda/select_row_lists.h"
#include "kernels/cuda/select_tile_lists.h"

namespace sparsescope {
namespace {

// Lists count in 32 bits.
void check_size(int64_t size, const char* what) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, size <= std::numeric_limits<int32_t>::max(),
                    "selection on a GPU: {} {} in one call, expected less than 2^31; select fewer "
                    "heads at a time",
                    size, what);
}

int64_t text_strands(const TokenLayout& layout) {
  return cuda::text_strands(static_cast<int32_t>(layout.text_tokens()));
}

}  // namespace

DeviceListBuilder::DeviceListBuilder(std::shared_ptr<DeviceTokenLayout> layout, DevicePlanes planes,
                                     int64_t heads) {
  selection_.layout_ = std::move(layout);
  selection_.planes_ = std::move(planes);
  selection_.heads_ = static_cast<int32_t>(heads);
}

DeviceListBuilder::Places DeviceListBuilder::find_places(const cuda::DeviceArray<int32_t>& counts,
                                                         int64_t groups, int64_t size,
                                                         int64_t sets) {
  Places places{cuda::DeviceArray<int64_t>(groups * size), cuda::DeviceArray<int64_t>(groups),
                cuda::DeviceArray<int64_t>(sets)};
  cuda::DeviceArray<int64_t> group_counts(groups);
  cuda::scan_counts(counts.data(), static_cast<int32_t>(groups), static_cast<int32_t>(size),
                    places.in_group.data(), group_counts.data());
  cuda::scan_counts(group_counts.data(), static_cast<int32_t>(sets),
                    static_cast<int32_t>(groups / sets), places.of_group.data(),
                    places.totals.data());
  return places;
}

void DeviceListBuilder::begin_strands(int64_t of_plane) {
  strands_of_plane_ = of_plane + text_strands(host_layout());
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, strands_of_plane_ <= cuda::kMaxHeadStrands,
                    "selection on a GPU: {} strands a head, expected at most {}", strands_of_plane_,
                    cuda::kMaxHeadStrands);
  const int64_t count = planes().size() * strands_of_plane_;
  strands_ = cuda::DeviceArray<SparseStrand>(count);
  strand_pairs_ = cuda::DeviceArray<int64_t>(count);
}

DeviceSelection DeviceListBuilder::tile_lists(const uint32_t* mask, const TileOffsets& offsets,
                                              int64_t plane_rows, std::optional<int64_t> num_ids) {
  const cuda::SelectLayout layout = selection_.layout_->view();
  const int64_t num_planes = planes().size(), num_tiles = layout.num_tiles;
  cuda::DeviceArray<int32_t> counts(num_planes * num_tiles);
  cuda::count_bits(mask, counts.size(), layout.num_tiles, has_text() ? 1 : 0, counts.data());
  const Places places = find_places(counts, num_planes, num_tiles, 1);
  if (!num_ids) num_ids = places.totals.to_host()[0];
  check_size(*num_ids + layout.num_ranges, "list entries");

  const int64_t plane_items = offsets.items.back();
  selection_.range_ids_ = cuda::DeviceArray<int32_t>(*num_ids + layout.num_ranges);
  selection_.items_ =
      cuda::DeviceArray<SparseItem>(num_planes * (plane_items + text_strands(host_layout())));
  begin_strands(num_tiles);
  cuda::fill_tile_lists(
      {.planes = planes().view(),
       .layout = layout,
       .heads = selection_.heads_,
       .mask = mask,
       .list_first = places.in_group.data(),
       .plane_first = places.of_group.data(),
       .row_first = offsets.device_rows.data(),
       .plane_rows = static_cast<int32_t>(plane_rows),
       .item_first = offsets.device_items.data(),
       .plane_items = static_cast<int32_t>(plane_items),
       .range_ids = selection_.range_ids_.data(),
       .items = selection_.items_.data(),
       .table = {strands_.data(), strand_pairs_.data(), static_cast<int32_t>(strands_of_plane_)}});
  const int64_t text_row = plane_rows > 0 ? num_planes * plane_rows : layout.video_tokens;
  return finish(text_row, *num_ids, num_planes * plane_items, selection_.rows_.data());
}

DeviceSelection DeviceListBuilder::all_rows(const uint32_t* mask, int64_t num_ids) {
  const int64_t text_ids = has_text() ? planes().size() * host_layout().num_tiles() : 0;
  selection_.rows_are_order_ = true;
  return tile_lists(mask, selection_.layout_->all_rows(), 0, num_ids + text_ids);
}

DeviceSelection DeviceListBuilder::kept_rows(const uint32_t* mask, const TileOffsets& kept,
                                             cuda::DeviceArray<int32_t> rows,
                                             cuda::DeviceArray<int32_t> restore_from) {
  selection_.rows_ = std::move(rows);
  selection_.restore_from_ = std::move(restore_from);
  return tile_lists(mask, kept, kept.rows.back(), std::nullopt);
}

DeviceSelection DeviceListBuilder::chosen_rows(const uint32_t* mask) {
  const cuda::SelectLayout layout = selection_.layout_->view();
  const int64_t num_planes = planes().size();
  const int32_t run_rows =
      cuda::run_rows(static_cast<int32_t>(num_planes), layout.video_tokens, layout.num_tiles);
  const int32_t num_runs = (layout.video_tokens + run_rows - 1) / run_rows;
  begin_strands(num_runs);
  cuda::RowLists lists{
      .planes = planes().view(),
      .layout = layout,
      .heads = selection_.heads_,
      .mask = mask,
      .run_rows = run_rows,
      .num_runs = num_runs,
      .table = {strands_.data(), strand_pairs_.data(), static_cast<int32_t>(strands_of_plane_)}};
  cuda::DeviceArray<int32_t> counts(2 * num_planes * num_runs);
  cuda::count_row_lists(lists, counts.data());
  const Places places = find_places(counts, 2 * num_planes, num_runs, 2);
  const std::vector<int64_t> totals = places.totals.to_host();
  check_size(totals[0] + layout.text_tokens, "rows");

  selection_.rows_ = cuda::DeviceArray<int32_t>(totals[0] + layout.text_tokens);
  selection_.items_ =
      cuda::DeviceArray<SparseItem>(totals[1] + num_planes * text_strands(host_layout()));
  std::vector<int32_t> ids(layout.num_ranges);
  std::iota(ids.begin(), ids.end(), 0);
  selection_.range_ids_ = cuda::DeviceArray(ids);
  lists.run_first = places.in_group.data();
  lists.plane_first = places.of_group.data();
  lists.rows = selection_.rows_.data();
  lists.items = selection_.items_.data();
  cuda::fill_row_lists(lists);
  return finish(totals[0], 0, totals[1], selection_.rows_.data());
}

DeviceSelection DeviceListBuilder::finish(int64_t text_row, int64_t text_range, int64_t video_items,
                                          int32_t* text_rows) {
  const cuda::StrandTable table{strands_.data(), strand_pairs_.data(),
                                static_cast<int32_t>(strands_of_plane_)};
  if (has_text()) {
    cuda::add_text_strands({.planes = planes().view(),
                            .layout = selection_.layout_->view(),
                            .heads = selection_.heads_,
                            .rows = text_rows,
                            .range_ids = selection_.range_ids_.data(),
                            .items = selection_.items_.data(),
                            .first_row = text_row,
                            .first_range = text_range,
                            .first_item = video_items,
                            .table = table});
  }
  selection_.strands_ = cuda::DeviceArray<SparseStrand>(strands_.size());
  selection_.pairs_ = cuda::DeviceArray<int64_t>(planes().size());
  cuda::sort_strands(table, static_cast<int32_t>(planes().size()), selection_.strands_.data(),
                     selection_.pairs_.data());
  return std::move(selection_);
}

}  // namespace sparsescope
