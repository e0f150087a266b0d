// Non-owning views of tensors: a typed pointer, extents and strides. The only form in which tensors
// cross the border between LibTorch, files and kernels.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"

namespace sparsescope {

// "[2, 3, 4]"
std::string shape_to_string(const std::vector<int64_t>& shape);

// q, k, v and outputs of an attention call. Strides are in elements; the last axis is contiguous.
struct AttentionTensor {
  const void* data = nullptr;
  Dtype dtype = Dtype::kF32;  // kF32, kBF16 or kF16
  int64_t batch = 0;          // B
  int64_t heads = 0;          // H
  int64_t tokens = 0;         // S
  int64_t head_dim = 0;       // D
  int64_t stride_batch = 0;   // elements
  int64_t stride_head = 0;
  int64_t stride_token = 0;
  MemorySpace space = MemorySpace::kHost;
};

struct MutableAttentionTensor {
  float* data = nullptr;  // fp32 [B, H, S, D]
  int64_t stride_batch = 0;
  int64_t stride_head = 0;
  int64_t stride_token = 0;
  MemorySpace space = MemorySpace::kHost;
};

// A contiguous [B, H, S, D] tensor.
AttentionTensor contiguous_attention_tensor(const void* data, Dtype dtype, int64_t batch,
                                            int64_t heads, int64_t tokens, int64_t head_dim);
MutableAttentionTensor contiguous_output(float* data, int64_t heads, int64_t tokens,
                                         int64_t head_dim);

}  // namespace sparsescope
