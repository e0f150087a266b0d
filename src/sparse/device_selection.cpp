#include "sparse/device_selection.h"

#include <algorithm>

namespace sparsescope {

SparseSelection DeviceSelection::view() const {
  const cuda::SelectLayout layout = layout_->view();
  return {.key_order = layout.order,
          .num_keys = layout_->host().tokens(),
          .ranges = layout.ranges,
          .num_ranges = layout.num_ranges,
          .rows = rows_are_order_ ? layout.order : rows_.data(),
          .range_ids = range_ids_.data(),
          .items = items_.data(),
          .strands = strands_.data(),
          .num_strands = strands_.size(),
          .space = MemorySpace::kDevice};
}

std::vector<double> DeviceSelection::density() const {
  const auto tokens = static_cast<double>(layout_->host().tokens());
  std::vector<double> density;
  for (const int64_t pairs : pairs_.to_host()) {
    density.push_back(static_cast<double>(pairs) / (tokens * tokens));
  }
  return density;
}

cuda::RestoreMap DeviceSelection::restore_map() const {
  return {.planes = planes_.view(),
          .layout = layout_->view(),
          .heads = heads_,
          .prefix = static_cast<int32_t>(layout_->host().prefix),
          .restore_from = restore_from_.data()};
}

RowCopies DeviceSelection::copies() const {
  return {.num_rows = std::max<int64_t>(0, first_copy_.size() - 1),
          .first = first_copy_.data(),
          .tokens = copy_tokens_.data()};
}

BlockLists DeviceSelection::to_host() const {
  BlockLists lists{.key_order = layout_->host().order,
                   .ranges = layout_->host().ranges,
                   .rows = rows_are_order_ ? layout_->host().order : rows_.to_host(),
                   .range_ids = range_ids_.to_host(),
                   .items = items_.to_host(),
                   .strands = strands_.to_host(),
                   .restore_from = restore_from_.to_host()};
  int32_t num_ids = 0;  // there may be room for more
  for (const SparseItem& item : lists.items) {
    num_ids = std::max(num_ids, item.first_range + item.num_ranges);
  }
  lists.range_ids.resize(num_ids);
  return lists;
}

}  // namespace sparsescope
