#include "sparse/gather_rows.h"

#include "capture/query_columns.h"

namespace sparsescope {

void gather_rows(const AttentionTensor& x, int64_t batch, int64_t head,
                 std::span<const int32_t> tokens, float* rows) {
  for (const int32_t token : tokens) {
    load_row(x, batch, head, token, rows);
    rows += x.head_dim;
  }
}

}  // namespace sparsescope
