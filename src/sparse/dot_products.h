// All dot products between two sets of rows, the one matrix product of the selectors:
//   out[m, n] = sum_d a[m, d] * b[n, d]      in fp32, d ascending in every element, so that equal
// rows give equal products whatever stands beside them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/impl.h"

namespace sparsescope {

struct DotProductsParams {
  const float* a = nullptr;  // [M, D]
  int64_t num_a = 0;
  const float* b = nullptr;  // [N, D]
  int64_t num_b = 0;
  int64_t head_dim = 0;  // D
  float* out = nullptr;  // [M, N] with rows stride_out apart
  int64_t stride_out = 0;
};

// impl chooses the instruction set; kReference sums in fp64. panel is scratch.
void dot_products(Impl impl, const DotProductsParams& params, std::vector<float>& panel);

namespace detail {
// Columns of b that one panel holds, for the widest instruction set.
inline constexpr int64_t kMaxPanelColumns = 32;
// panel: [D * kMaxPanelColumns]
void dot_products_base(const DotProductsParams& params, float* panel);
void dot_products_avx2(const DotProductsParams& params, float* panel);
void dot_products_avx512(const DotProductsParams& params, float* panel);
}  // namespace detail

}  // namespace sparsescope
