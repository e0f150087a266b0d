#include "sparse/token_rows.h"

#include "core/error.h"

namespace sparsescope {

TokenRows token_rows(const AttentionTensor& x, int64_t batch, int64_t head,
                     std::span<const int32_t> tokens) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    x.dtype == Dtype::kF32 || x.dtype == Dtype::kBF16 || x.dtype == Dtype::kF16,
                    "sparse selection: expected fp32, bf16 or fp16, found {}", dtype_name(x.dtype));
  const int64_t first = batch * x.stride_batch + head * x.stride_head;
  return {.data = static_cast<const char*>(x.data) + first * dtype_bits(x.dtype) / 8,
          .dtype = x.dtype,
          .stride_token = x.stride_token,
          .head_dim = x.head_dim,
          .tokens = tokens.data(),
          .num_rows = std::ssize(tokens)};
}

const TokenRowKernels& token_row_kernels(Impl impl) {
  switch (host_impl(impl)) {
    case Impl::kReference:
      return detail::kTokenRowsReference;
    case Impl::kCpuAvx2:
      return detail::kTokenRowsAvx2;
    case Impl::kCpuAvx512:
    case Impl::kCpuAvx512Bf16:
      return detail::kTokenRowsAvx512;
    default:
      break;
  }
  return detail::kTokenRowsBase;
}

}  // namespace sparsescope
