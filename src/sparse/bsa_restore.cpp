#include "sparse/bsa_restore.h"

#include <algorithm>

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

}  // namespace sparsescope
