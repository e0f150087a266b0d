// Rows of any element type and stride as the selection kernels read them: widened to fp32, in
// vectors of 16 bytes where the rows allow it.
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/typed_data.h"

namespace sparsescope::cuda {

template <typename Source>
struct SourceRows {
  const Source* data = nullptr;
  int32_t heads = 1;                                            // H
  int32_t head_dim = 0;                                         // D
  int64_t stride_batch = 0, stride_head = 0, stride_token = 0;  // elements

  __device__ const Source* head(int32_t head) const {
    return data + head / heads * stride_batch + head % heads * stride_head;
  }
};

// kWidth neighbours of a row. With kWidth above 1 their address is a multiple of their size.
template <int kWidth, typename Source>
__device__ inline void load_widened(const Source* from, float (&values)[kWidth]) {
  if constexpr (kWidth == 1) {
    values[0] = to_float(*from);
  } else {
    static_assert(kWidth * sizeof(Source) == sizeof(uint4));
    alignas(uint4) Source loaded[kWidth];
    *reinterpret_cast<uint4*>(loaded) = *reinterpret_cast<const uint4*>(from);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] = to_float(loaded[i]);
  }
}

// Calls run.operator()<kWidth>(rows) with the tensor's type: kWidth elements are 16 bytes, or one
// where the tensor's rows are not aligned to that.
template <typename Run>
void with_source_rows(const AttentionTensor& x, const Run& run) {
  with_typed_data(x.data, x.dtype, [&]<typename Source>(const Source* data) {
    const SourceRows<Source> rows{data,
                                  static_cast<int32_t>(x.heads),
                                  static_cast<int32_t>(x.head_dim),
                                  x.stride_batch,
                                  x.stride_head,
                                  x.stride_token};
    constexpr int kWidth = sizeof(uint4) / sizeof(Source);
    const auto in_vectors = [](int64_t elements) { return elements % kWidth == 0; };
    const bool aligned = reinterpret_cast<uintptr_t>(data) % sizeof(uint4) == 0 &&
                         in_vectors(x.head_dim) && in_vectors(x.stride_batch) &&
                         in_vectors(x.stride_head) && in_vectors(x.stride_token);
    if (aligned) return run.template operator()<kWidth>(rows);
    run.template operator()<1>(rows);
  });
}

}  // namespace sparsescope::cuda
