#include "kernels/cuda/device_lists.h"

#include <algorithm>

namespace sparsescope::cuda {

DeviceLists::Sizes DeviceLists::sizes_of(const SparseSelection& selection) {
  Sizes sizes;
  if (selection.space == MemorySpace::kDevice) return sizes;  // nothing is copied
  for (int64_t s = 0; s < selection.num_strands; ++s) {
    const SparseStrand& strand = selection.strands[s];
    const int64_t last = int64_t{strand.first_item} + strand.num_items;
    sizes.items = std::max(sizes.items, last);
    for (int64_t i = strand.first_item; i < last; ++i) {
      const SparseItem& item = selection.items[i];
      sizes.rows = std::max(sizes.rows, int64_t{item.first_row} + item.num_rows);
      sizes.range_ids = std::max(sizes.range_ids, int64_t{item.first_range} + item.num_ranges);
    }
  }
  return sizes;
}

DeviceLists::DeviceLists(const SparseSelection& selection, cudaStream_t stream)
    : DeviceLists(selection, sizes_of(selection), stream) {}

DeviceLists::DeviceLists(const SparseSelection& selection, const Sizes& sizes, cudaStream_t stream)
    : key_order_(selection.key_order, selection.num_keys, selection.space, stream),
      rows_(selection.rows, sizes.rows, selection.space, stream),
      range_ids_(selection.range_ids, sizes.range_ids, selection.space, stream),
      ranges_(selection.ranges, selection.num_ranges, selection.space, stream),
      items_(selection.items, sizes.items, selection.space, stream),
      strands_(selection.strands, selection.num_strands, selection.space, stream),
      view_{.key_order = key_order_.data(),
            .num_keys = selection.num_keys,
            .ranges = ranges_.data(),
            .num_ranges = selection.num_ranges,
            .rows = rows_.data(),
            .range_ids = range_ids_.data(),
            .items = items_.data(),
            .strands = strands_.data(),
            .num_strands = selection.num_strands,
            .space = MemorySpace::kDevice} {}

}  // namespace sparsescope::cuda
