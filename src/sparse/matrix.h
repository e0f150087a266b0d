// Small row-major matrices of pooled rows, and the one product that the coarse branch needs.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/impl.h"

namespace sparsescope {

struct Matrix {
  int64_t rows = 0, cols = 0;
  std::vector<float> values;  // [rows, cols]

  Matrix(int64_t num_rows, int64_t num_cols)
      : rows(num_rows), cols(num_cols), values(num_rows * num_cols) {}
  Matrix(int64_t num_rows, int64_t num_cols, std::vector<float> elements)
      : rows(num_rows), cols(num_cols), values(std::move(elements)) {}
  float* row(int64_t index) { return values.data() + index * cols; }
  const float* row(int64_t index) const { return values.data() + index * cols; }
};

Matrix transposed(const Matrix& matrix);
// Rows [first, first + count).
Matrix rows_of(const Matrix& matrix, int64_t first, int64_t count);
// a [M, K] times the transpose of b [N, K]: [M, N]. kReference sums in fp64.
Matrix product(Impl impl, const Matrix& a, const Matrix& b);

}  // namespace sparsescope
