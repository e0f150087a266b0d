// Naive loops in fp64: the definition of correct.
#include <algorithm>
#include <cmath>

#include "sparse/token_rows.h"

namespace sparsescope::detail {
namespace {

double element(const TokenRows& x, int64_t row, int64_t d) {
  const int64_t at = x.tokens[row] * x.stride_token + d;
  if (x.dtype == Dtype::kF32) return static_cast<const float*>(x.data)[at];
  const uint16_t bits = static_cast<const uint16_t*>(x.data)[at];
  return x.dtype == Dtype::kBF16 ? bf16_to_float(bits) : f16_to_float(bits);
}

void sum(const TokenRows& x, float* out) {
  for (int64_t d = 0; d < x.head_dim; ++d) {
    double total = 0;
    for (int64_t r = 0; r < x.num_rows; ++r) total += element(x, r, d);
    out[d] = static_cast<float>(total);
  }
}

void normalize(const TokenRows& x, float* unit_rows) {
  for (int64_t r = 0; r < x.num_rows; ++r) {
    double squares = 0;
    for (int64_t d = 0; d < x.head_dim; ++d) squares += element(x, r, d) * element(x, r, d);
    const double length = std::max(1e-12, std::sqrt(squares));
    for (int64_t d = 0; d < x.head_dim; ++d) {
      unit_rows[r * x.head_dim + d] = static_cast<float>(element(x, r, d) / length);
    }
  }
}

void dots(const float* rows, int64_t num_rows, int64_t head_dim, const float* row, float* out) {
  for (int64_t r = 0; r < num_rows; ++r) {
    double total = 0;
    for (int64_t d = 0; d < head_dim; ++d) {
      total += static_cast<double>(rows[r * head_dim + d]) * row[d];
    }
    out[r] = static_cast<float>(total);
  }
}

void first_best_rows(const float* values, int64_t num_rows, int64_t columns, int32_t* best_at) {
  for (int64_t c = 0; c < columns; ++c) {
    best_at[c] = 0;
    for (int64_t r = 1; r < num_rows; ++r) {
      if (values[r * columns + c] > values[best_at[c] * columns + c]) {
        best_at[c] = static_cast<int32_t>(r);
      }
    }
  }
}

}  // namespace

const TokenRowKernels kTokenRowsReference = {
    .sum = sum, .normalize = normalize, .dots = dots, .first_best_rows = first_best_rows};

}  // namespace sparsescope::detail
