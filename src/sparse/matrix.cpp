#include "sparse/matrix.h"

#include <algorithm>

#include "sparse/dot_products.h"

namespace sparsescope {
namespace {

float exact_dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

}  // namespace

Matrix transposed(const Matrix& matrix) {
  Matrix result(matrix.cols, matrix.rows);
  for (int64_t r = 0; r < matrix.rows; ++r) {
    for (int64_t c = 0; c < matrix.cols; ++c) result.row(c)[r] = matrix.row(r)[c];
  }
  return result;
}

Matrix rows_of(const Matrix& matrix, int64_t first, int64_t count) {
  return {count, matrix.cols, {matrix.row(first), matrix.row(first) + count * matrix.cols}};
}

Matrix product(Impl impl, const Matrix& a, const Matrix& b) {
  Matrix result(a.rows, b.rows);
  if (impl == Impl::kReference) {
    for (int64_t m = 0; m < a.rows; ++m) {
      for (int64_t n = 0; n < b.rows; ++n) result.row(m)[n] = exact_dot(a.row(m), b.row(n), a.cols);
    }
    return result;
  }
  std::vector<float> panel;
  dot_products(impl,
               {.a = a.values.data(),
                .num_a = a.rows,
                .b = b.values.data(),
                .num_b = b.rows,
                .head_dim = a.cols,
                .out = result.values.data(),
                .stride_out = b.rows},
               panel);
  return result;
}

}  // namespace sparsescope
