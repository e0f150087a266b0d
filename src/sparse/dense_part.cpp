#include "sparse/dense_part.h"

namespace sparsescope {

DenseAttentionParams dense_part(const AttentionCall& call, int64_t batch, int64_t batches,
                                int64_t first, int64_t count) {
  const auto part_of = [&](AttentionTensor x) {
    const int64_t offset = batch * x.stride_batch + first * x.stride_head;
    x.data = static_cast<const char*>(x.data) + offset * dtype_bits(x.dtype) / 8;
    x.batch = batches;
    x.heads = count;
    return x;
  };
  MutableAttentionTensor out = call.out;
  out.data += batch * out.stride_batch + first * out.stride_head;
  return {.q = part_of(call.q),
          .k = part_of(call.k),
          .v = part_of(call.v),
          .scale = call.scale,
          .out = out};
}

}  // namespace sparsescope
