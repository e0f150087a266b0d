#include "sparse/bsa_restore.h"

#include <algorithm>
#include <vector>

#include "capture/query_columns.h"

namespace sparsescope {

void restore_pruned_rows(std::span<const int32_t> restore_from, int64_t prefix, int64_t batch,
                         int64_t head, int64_t head_dim, const MutableAttentionTensor& out) {
  float* rows = out.data + batch * out.stride_batch + head * out.stride_head;
  for (int64_t raster = 0; raster < static_cast<int64_t>(restore_from.size()); ++raster) {
    const int64_t token = prefix + raster;
    const int64_t source = restore_from[raster];
    if (source == token) continue;
    float* row = rows + token * out.stride_token;
    if (source < 0) {
      std::fill_n(row, head_dim, 0.0f);
    } else {
      std::copy_n(rows + source * out.stride_token, head_dim, row);
    }
  }
}

void gather_restored_gradients(std::span<const int32_t> restore_from, int64_t prefix, int64_t batch,
                               int64_t head, const AttentionTensor& d_out,
                               const MutableAttentionTensor& d_kept) {
  float* rows = d_kept.data + batch * d_kept.stride_batch + head * d_kept.stride_head;
  const auto row_of = [&](int64_t token) { return rows + token * d_kept.stride_token; };
  const auto source_of = [&](int64_t token) -> int64_t {
    const int64_t raster = token - prefix;
    const bool video = raster >= 0 && raster < static_cast<int64_t>(restore_from.size());
    return video ? restore_from[raster] : token;
  };
  for (int64_t token = 0; token < d_out.tokens; ++token) {
    if (source_of(token) == token) {
      load_row(d_out, batch, head, token, row_of(token));
    } else {
      std::fill_n(row_of(token), d_out.head_dim, 0.0f);
    }
  }
  std::vector<float> row(d_out.head_dim);
  for (int64_t token = 0; token < d_out.tokens; ++token) {
    const int64_t source = source_of(token);
    if (source == token || source < 0) continue;
    load_row(d_out, batch, head, token, row.data());
    float* sum = row_of(source);
    for (int64_t d = 0; d < d_out.head_dim; ++d) sum[d] += row[d];
  }
}

}  // namespace sparsescope
