#include "kernels/reference/reference.h"

namespace sparsescope::reference {

std::map<int32_t, std::vector<int32_t>> keys_of_rows(const SparseSelection& selection,
                                                     const SparseStrand& strand) {
  std::map<int32_t, std::vector<int32_t>> keys_of;
  for (int32_t i = 0; i < strand.num_items; ++i) {
    const SparseItem& item = selection.items[strand.first_item + i];
    for (int32_t r = 0; r < item.num_rows; ++r) {
      std::vector<int32_t>& keys = keys_of[selection.rows[item.first_row + r]];
      for (int32_t n = 0; n < item.num_ranges; ++n) {
        const KeyRange& range = selection.ranges[selection.range_ids[item.first_range + n]];
        keys.insert(keys.end(), selection.key_order + range.first,
                    selection.key_order + range.first + range.count);
      }
    }
  }
  return keys_of;
}

void sparse_attention(const SparseAttentionParams& params, ThreadPool& pool) {
  const SparseSelection& selection = params.selection;
  pool.parallel_for(selection.num_strands, [&](int64_t index, int) {
    const SparseStrand& strand = selection.strands[index];
    const int64_t b = strand.batch, h = strand.head;
    for (const auto& [token, keys] : keys_of_rows(selection, strand)) {
      const RowSoftmax row = row_softmax(params.q, params.k, params.scale, b, h, token, keys.data(),
                                         static_cast<int64_t>(keys.size()));
      write_output_row(row, params.v, keys.data(), b, h, token, params.out);
      if (params.lse != nullptr) {
        params.lse[(b * params.q.heads + h) * params.q.tokens + token] =
            static_cast<float>(row.lse);
      }
    }
  });
}

}  // namespace sparsescope::reference
