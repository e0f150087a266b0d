#include "sparse/device_lists.h"

#include <limits>
#include <numeric>

#include "core/error.h"
#include "kernels/cuda/select_row_lists.h"

namespace sparsescope {
namespace {

// Of lists whose entries the host does not count: 64 MB of them.
constexpr int64_t kMostUnknownIds = int64_t{16} << 20;

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

DeviceListBuilder::Places DeviceListBuilder::find_places(const int32_t* counts, int64_t groups,
                                                         int64_t size, int32_t extra) {
  Places places{cuda::DeviceArray<int64_t>(groups * size), cuda::DeviceArray<int64_t>(groups)};
  cuda::scan_counts(counts, static_cast<int32_t>(groups), static_cast<int32_t>(size), extra,
                    places.in_group.data(), places.totals.data());
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

DeviceSelection DeviceListBuilder::tile_lists(cuda::TileLists call, const TileOffsets& offsets,
                                              int64_t plane_rows, int64_t num_ids) {
  const cuda::SelectLayout layout = selection_.layout_->view();
  const int64_t num_planes = planes().size(), num_tiles = layout.num_tiles;
  const int64_t text_ids = has_text() ? layout.num_ranges : 0;  // they stand first
  check_size(text_ids + num_ids, "list entries");
  const int64_t plane_items = offsets.items.back();
  selection_.range_ids_ = cuda::DeviceArray<int32_t>(text_ids + num_ids);
  selection_.items_ =
      cuda::DeviceArray<SparseItem>(num_planes * (plane_items + text_strands(host_layout())));
  begin_strands(num_tiles);
  call.planes = planes().view();
  call.layout = layout;
  call.heads = selection_.heads_;
  call.first_list = text_ids;
  call.row_first = offsets.device_rows.data();
  call.plane_rows = static_cast<int32_t>(plane_rows);
  call.item_first = offsets.device_items.data();
  call.plane_items = static_cast<int32_t>(plane_items);
  call.range_ids = selection_.range_ids_.data();
  call.items = selection_.items_.data();
  call.table = {strands_.data(), strand_pairs_.data(), static_cast<int32_t>(strands_of_plane_)};
  cuda::fill_tile_lists(call);
  const int64_t text_row = plane_rows > 0 ? num_planes * plane_rows : layout.video_tokens;
  return finish(text_row, num_planes * plane_items, selection_.rows_.data());
}

DeviceSelection DeviceListBuilder::all_rows(const uint32_t* mask, const std::vector<int32_t>& top_k,
                                            const int32_t* device_top_k) {
  selection_.rows_are_order_ = true;
  int64_t num_ids = 0;
  for (const int32_t k : top_k) num_ids += (k + (has_text() ? 1 : 0)) * host_layout().num_tiles();
  return tile_lists({.mask = mask, .sizes = device_top_k}, selection_.layout_->all_rows(), 0,
                    num_ids);
}

DeviceSelection DeviceListBuilder::kept_rows(const uint32_t* mask, const int32_t* counts,
                                             const TileOffsets& kept, KeptRows rows) {
  selection_.rows_ = std::move(rows.rows);
  selection_.restore_from_ = std::move(rows.restore_from);
  selection_.first_copy_ = std::move(rows.first_copy);
  selection_.copy_tokens_ = std::move(rows.copy_tokens);
  const int64_t num_tiles = host_layout().num_tiles(), extra = has_text() ? 1 : 0;
  const Places places =
      find_places(counts, planes().size(), num_tiles, static_cast<int32_t>(extra));
  // As many as there can be; where that is much, the host waits to learn how many there are.
  int64_t num_ids = planes().size() * num_tiles * (num_tiles + extra);
  if (num_ids > kMostUnknownIds) {
    const std::vector<int64_t> totals = places.totals.to_host();
    num_ids = std::accumulate(totals.begin(), totals.end(), int64_t{0});
  }
  return tile_lists(
      {.mask = mask, .list_first = places.in_group.data(), .plane_sizes = places.totals.data()},
      kept, kept.rows.back(), num_ids);
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
  const Places places = find_places(counts.data(), 2 * num_planes, num_runs, 0);
  const std::vector<int64_t> totals = places.totals.to_host();
  const auto items_begin = totals.begin() + num_planes;
  const int64_t num_rows = std::accumulate(totals.begin(), items_begin, int64_t{0});
  const int64_t num_items = std::accumulate(items_begin, totals.end(), int64_t{0});
  check_size(num_rows + layout.text_tokens, "rows");

  selection_.rows_ = cuda::DeviceArray<int32_t>(num_rows + layout.text_tokens);
  selection_.items_ =
      cuda::DeviceArray<SparseItem>(num_items + num_planes * text_strands(host_layout()));
  selection_.range_ids_ = cuda::DeviceArray<int32_t>(layout.num_ranges);
  lists.run_first = places.in_group.data();
  lists.plane_sizes = places.totals.data();
  lists.rows = selection_.rows_.data();
  lists.items = selection_.items_.data();
  lists.range_ids = selection_.range_ids_.data();
  cuda::fill_row_lists(lists);
  return finish(num_rows, num_items, selection_.rows_.data());
}

DeviceSelection DeviceListBuilder::finish(int64_t text_row, int64_t video_items,
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
