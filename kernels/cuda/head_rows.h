// Where the kernels read rows of 16-bit elements and write results: plain structs that travel as
// kernel arguments. A head is numbered b * H + h; data begin with first_head.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda {

// Rows of kHeadDim elements (64 or 128; zeros behind the model's own D), aligned to 16 bytes.
template <typename Elem>
struct HeadRows {
  const Elem* data = nullptr;
  int32_t heads = 1;                                          // H
  int64_t stride_batch = 0, stride_head = 0, stride_row = 0;  // elements
  int32_t first_head = 0;

  __host__ __device__ const Elem* head(int32_t number) const {
    const int32_t head = number - first_head;
    return data + head / heads * stride_batch + head % heads * stride_head;
  }
};

// Results by token.
struct HeadOutput {
  float* data = nullptr;                                        // [B, H, S, D] with strides
  float* lse = nullptr;                                         // [B, H, S], may be null
  int32_t heads = 1;                                            // H
  int32_t head_dim = 0;                                         // D, at most the kernel's
  int64_t tokens = 0;                                           // S
  int64_t stride_batch = 0, stride_head = 0, stride_token = 0;  // elements
  int32_t first_head = 0;

  __host__ __device__ float* row(int32_t number, int32_t token) const {
    const int32_t head = number - first_head;
    return data + head / heads * stride_batch + head % heads * stride_head + token * stride_token;
  }
  __host__ __device__ float* lse_of(int32_t number, int32_t token) const {
    return lse + (number - first_head) * tokens + token;
  }
};

}  // namespace sparsescope::cuda
