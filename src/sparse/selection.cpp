#include "sparse/selection.h"

namespace sparsescope {

SparseSelection BlockLists::view() const {
  return {.key_order = key_order.data(),
          .num_keys = static_cast<int64_t>(key_order.size()),
          .ranges = ranges.data(),
          .num_ranges = static_cast<int64_t>(ranges.size()),
          .rows = rows.data(),
          .range_ids = range_ids.data(),
          .items = items.data(),
          .strands = strands.data(),
          .num_strands = static_cast<int64_t>(strands.size())};
}

std::vector<double> BlockLists::density(int64_t batch, int64_t heads, int64_t tokens) const {
  std::vector<int64_t> pairs(batch * heads, 0);
  for (const SparseStrand& strand : strands) {
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = items[i];
      int64_t keys = 0;
      for (int32_t r = item.first_range; r < item.first_range + item.num_ranges; ++r) {
        keys += ranges[range_ids[r]].count;
      }
      pairs[strand.batch * heads + strand.head] += item.num_rows * keys;
    }
  }
  const double all = static_cast<double>(tokens) * static_cast<double>(tokens);
  std::vector<double> density;
  density.reserve(pairs.size());
  for (const int64_t count : pairs) density.push_back(static_cast<double>(count) / all);
  return density;
}

}  // namespace sparsescope
