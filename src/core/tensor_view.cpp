#include "core/tensor_view.h"

#include <fmt/ranges.h>

namespace sparsescope {

std::string shape_to_string(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

AttentionTensor contiguous_attention_tensor(const void* data, Dtype dtype, int64_t batch,
                                            int64_t heads, int64_t tokens, int64_t head_dim) {
  return {.data = data,
          .dtype = dtype,
          .batch = batch,
          .heads = heads,
          .tokens = tokens,
          .head_dim = head_dim,
          .stride_batch = heads * tokens * head_dim,
          .stride_head = tokens * head_dim,
          .stride_token = head_dim};
}

MutableAttentionTensor contiguous_output(float* data, int64_t heads, int64_t tokens,
                                         int64_t head_dim) {
  return {.data = data,
          .stride_batch = heads * tokens * head_dim,
          .stride_head = tokens * head_dim,
          .stride_token = head_dim};
}

}  // namespace sparsescope
