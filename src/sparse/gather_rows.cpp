#include "sparse/gather_rows.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {
namespace {

template <typename Element, typename Widen>
void gather(const AttentionTensor& x, int64_t offset, std::span<const int32_t> tokens, float* rows,
            Widen widen) {
  const Element* head = static_cast<const Element*>(x.data) + offset;
  for (const int32_t token : tokens) {
    const Element* row = head + token * x.stride_token;
    std::transform(row, row + x.head_dim, rows, widen);
    rows += x.head_dim;
  }
}

}  // namespace

void gather_rows(const AttentionTensor& x, int64_t batch, int64_t head,
                 std::span<const int32_t> tokens, float* rows) {
  const int64_t offset = batch * x.stride_batch + head * x.stride_head;
  switch (x.dtype) {
    case Dtype::kF32:
      return gather<float>(x, offset, tokens, rows, [](float value) { return value; });
    case Dtype::kBF16:
      return gather<uint16_t>(x, offset, tokens, rows, bf16_to_float);
    case Dtype::kF16:
      return gather<uint16_t>(x, offset, tokens, rows, f16_to_float);
    default:
      fail(ErrorKind::kUnsupported, "sparse attention: expected fp32, bf16 or fp16, found {}",
           dtype_name(x.dtype));
  }
}

}  // namespace sparsescope
