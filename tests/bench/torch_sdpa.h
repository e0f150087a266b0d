// LibTorch's attention behind a plain function, so that its headers stay in one file.
#pragma once

#include <cstdint>

namespace sparsescope {

void set_torch_threads(int threads);

// out = scaled_dot_product_attention(q, k, v), contiguous fp32 [B, H, S, D].
void torch_sdpa(const float* q, const float* k, const float* v, float* out, int64_t batch,
                int64_t heads, int64_t tokens, int64_t head_dim);

}  // namespace sparsescope
