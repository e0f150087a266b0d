#include "capture/query_columns.h"

#include <algorithm>

#include "core/error.h"
#include "core/row_groups.h"

namespace sparsescope {
namespace {

// Of the first channel of a row.
int64_t offset_of(const AttentionTensor& x, int64_t batch, int64_t head, int64_t token) {
  return batch * x.stride_batch + head * x.stride_head + token * x.stride_token;
}

}  // namespace

void load_row(const AttentionTensor& tensor, int64_t batch, int64_t head, int64_t token,
              float* out) {
  const int64_t first = offset_of(tensor, batch, head, token), D = tensor.head_dim;
  switch (tensor.dtype) {
    case Dtype::kF32:
      std::copy_n(static_cast<const float*>(tensor.data) + first, D, out);
      return;
    case Dtype::kBF16: {
      const uint16_t* row = static_cast<const uint16_t*>(tensor.data) + first;
      std::transform(row, row + D, out, bf16_to_float);
      return;
    }
    case Dtype::kF16: {
      const uint16_t* row = static_cast<const uint16_t*>(tensor.data) + first;
      std::transform(row, row + D, out, f16_to_float);
      return;
    }
    default:
      fail(ErrorKind::kUnsupported, "attention statistics: expected fp32, bf16 or fp16, found {}",
           dtype_name(tensor.dtype));
  }
}

const float* const* RowPointers::load(const AttentionTensor& tensor, int64_t batch, int64_t head,
                                      const int32_t* tokens, int64_t count,
                                      const RowStatsKernels& kernels) {
  rows_.resize(count);
  if (tensor.dtype == Dtype::kF32) {
    const auto* data = static_cast<const float*>(tensor.data);
    for (int64_t i = 0; i < count; ++i) rows_[i] = data + offset_of(tensor, batch, head, tokens[i]);
    return rows_.data();
  }
  converted_.resize(count * tensor.head_dim);
  for (int64_t i = 0; i < count; ++i) {
    float* row = &converted_[i * tensor.head_dim];
    if (tensor.dtype == Dtype::kBF16) {
      const auto* data = static_cast<const uint16_t*>(tensor.data);
      kernels.widen_bf16(data + offset_of(tensor, batch, head, tokens[i]), tensor.head_dim, row);
    } else {
      load_row(tensor, batch, head, tokens[i], row);
    }
    rows_[i] = row;
  }
  return rows_.data();
}

void load_columns(const AttentionTensor& tensor, int64_t batch, int64_t head, const int32_t* tokens,
                  int64_t count, const RowStatsKernels& kernels, float* columns) {
  RowPointers rows;
  kernels.transpose(rows.load(tensor, batch, head, tokens, count, kernels), count, tensor.head_dim,
                    columns);
}

}  // namespace sparsescope
