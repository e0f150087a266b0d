// Rows of an attention tensor as fp32, a row at a time or transposed into lanes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor_view.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// out [D]
void load_row(const AttentionTensor& tensor, int64_t batch, int64_t head, int64_t token,
              float* out);

// Rows of several tokens in fp32: those of the tensor itself where it holds fp32.
class RowPointers {
 public:
  // [count] pointers to [D], until the next load.
  const float* const* load(const AttentionTensor& tensor, int64_t batch, int64_t head,
                           const int32_t* tokens, int64_t count, const RowStatsKernels& kernels);

 private:
  std::vector<const float*> rows_;
  std::vector<float> converted_;  // [count, D]
};

// columns [D, 64]: lane i holds token tokens[i]; lanes >= count hold zero. count <= 64.
void load_columns(const AttentionTensor& tensor, int64_t batch, int64_t head, const int32_t* tokens,
                  int64_t count, const RowStatsKernels& kernels, float* columns);

}  // namespace sparsescope
