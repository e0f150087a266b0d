// Body of dot_products, compiled once for each instruction set: lanes are rows of b, a panel of b
// is transposed once and then shared by all rows of a.
#pragma once

#include <cstdint>

#include "sparse/dot_products.h"
#include "sparse/lanes-inl.h"

namespace sparsescope::detail {
namespace {

// Four rows of a against a panel of two vectors: eight accumulators hide the latency of the FMA.
template <int kLanes, int kRows>
void multiply_rows(const DotProductsParams& p, const float* panel, int64_t row, int64_t column,
                   int64_t columns) {
  using Vector = typename VectorOf<kLanes>::Type;
  Vector sums[kRows][2] = {};
  for (int64_t d = 0; d < p.head_dim; ++d) {
    Vector b0, b1;
    __builtin_memcpy(&b0, panel + d * 2 * kLanes, sizeof(Vector));
    __builtin_memcpy(&b1, panel + d * 2 * kLanes + kLanes, sizeof(Vector));
    for (int r = 0; r < kRows; ++r) {
      const float a = p.a[(row + r) * p.head_dim + d];
      sums[r][0] += a * b0;
      sums[r][1] += a * b1;
    }
  }
  // Copies of constant size only: the sums must not need an address, or they leave the registers.
  for (int r = 0; r < kRows; ++r) {
    float* out = p.out + (row + r) * p.stride_out + column;
    if (columns == 2 * kLanes) {
      __builtin_memcpy(out, &sums[r][0], sizeof(Vector));
      __builtin_memcpy(out + kLanes, &sums[r][1], sizeof(Vector));
    } else {
      float all[2 * kLanes];
      __builtin_memcpy(all, &sums[r][0], sizeof(Vector));
      __builtin_memcpy(all + kLanes, &sums[r][1], sizeof(Vector));
      for (int64_t c = 0; c < columns; ++c) out[c] = all[c];
    }
  }
}

template <int kLanes>
void dot_products_body(const DotProductsParams& p, float* panel) {
  constexpr int64_t kColumns = 2 * kLanes;
  static_assert(kColumns <= kMaxPanelColumns);
  for (int64_t column = 0; column < p.num_b; column += kColumns) {
    const int64_t columns = p.num_b - column < kColumns ? p.num_b - column : kColumns;
    for (int64_t c = 0; c < kColumns; ++c) {
      const float* b = p.b + (column + (c < columns ? c : 0)) * p.head_dim;
      for (int64_t d = 0; d < p.head_dim; ++d) panel[d * kColumns + c] = c < columns ? b[d] : 0.0f;
    }
    int64_t row = 0;
    for (; row + 4 <= p.num_a; row += 4) multiply_rows<kLanes, 4>(p, panel, row, column, columns);
    for (; row < p.num_a; ++row) multiply_rows<kLanes, 1>(p, panel, row, column, columns);
  }
}

}  // namespace
}  // namespace sparsescope::detail
