#include "capture/query_columns.h"

#include "core/error.h"
#include "core/row_groups.h"

namespace sparsescope {
namespace {

// Calls use(d, value) for the channels of one row; the element type is chosen outside the loop.
template <typename Use>
void visit_row(const AttentionTensor& tensor, int64_t batch, int64_t head, int64_t token,
               const Use& use) {
  const int64_t first =
      batch * tensor.stride_batch + head * tensor.stride_head + token * tensor.stride_token;
  const int64_t D = tensor.head_dim;
  switch (tensor.dtype) {
    case Dtype::kF32: {
      const float* row = static_cast<const float*>(tensor.data) + first;
      for (int64_t d = 0; d < D; ++d) use(d, row[d]);
      return;
    }
    case Dtype::kBF16: {
      const uint16_t* row = static_cast<const uint16_t*>(tensor.data) + first;
      for (int64_t d = 0; d < D; ++d) use(d, bf16_to_float(row[d]));
      return;
    }
    case Dtype::kF16: {
      const uint16_t* row = static_cast<const uint16_t*>(tensor.data) + first;
      for (int64_t d = 0; d < D; ++d) use(d, f16_to_float(row[d]));
      return;
    }
    default:
      fail(ErrorKind::kUnsupported, "attention statistics: expected fp32, bf16 or fp16, found {}",
           dtype_name(tensor.dtype));
  }
}

}  // namespace

void load_row(const AttentionTensor& tensor, int64_t batch, int64_t head, int64_t token,
              float* out) {
  visit_row(tensor, batch, head, token, [&](int64_t d, float value) { out[d] = value; });
}

const float* const* RowPointers::load(const AttentionTensor& tensor, int64_t batch, int64_t head,
                                      const int32_t* tokens, int64_t count) {
  rows_.resize(count);
  if (tensor.dtype == Dtype::kF32) {
    const auto* data = static_cast<const float*>(tensor.data) + batch * tensor.stride_batch +
                       head * tensor.stride_head;
    for (int64_t i = 0; i < count; ++i) rows_[i] = data + tokens[i] * tensor.stride_token;
  } else {
    converted_.resize(count * tensor.head_dim);
    for (int64_t i = 0; i < count; ++i) {
      float* row = &converted_[i * tensor.head_dim];
      load_row(tensor, batch, head, tokens[i], row);
      rows_[i] = row;
    }
  }
  return rows_.data();
}

void load_columns(const AttentionTensor& tensor, int64_t batch, int64_t head, const int32_t* tokens,
                  int64_t count, const RowStatsKernels& kernels, float* columns) {
  RowPointers rows;
  kernels.transpose(rows.load(tensor, batch, head, tokens, count), count, tensor.head_dim, columns);
}

}  // namespace sparsescope
