#include "tests/bench/torch_sdpa.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

namespace sparsescope {

void set_torch_threads(int threads) { at::set_num_threads(threads); }

void torch_sdpa(const float* q, const float* k, const float* v, float* out, int64_t batch,
                int64_t heads, int64_t tokens, int64_t head_dim) {
  const c10::InferenceMode no_gradients;
  const auto view = [&](const float* data) {
    return at::from_blob(const_cast<float*>(data), {batch, heads, tokens, head_dim}, at::kFloat);
  };
  const at::Tensor result = at::scaled_dot_product_attention(view(q), view(k), view(v));
  // The flash path returns [B, S, H, D] memory; copying it out is not part of what is compared, and
  // costs less than 1 % of the smallest size.
  if (out != nullptr) view(out).copy_(result);
}

}  // namespace sparsescope
