// Sums, lengths and cosines of rows, read where they lie in a strided tensor of any element type.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor_view.h"
#include "kernels/impl.h"

namespace sparsescope {

// Rows of some tokens of one (batch, head).
struct TokenRows {
  const void* data = nullptr;  // of token 0
  Dtype dtype = Dtype::kF32;   // kF32, kBF16 or kF16
  int64_t stride_token = 0;    // elements
  int64_t head_dim = 0;        // D
  const int32_t* tokens = nullptr;
  int64_t num_rows = 0;
};

// Error(kUnsupported) for an element type other than fp32, bf16 and fp16.
TokenRows token_rows(const AttentionTensor& x, int64_t batch, int64_t head,
                     std::span<const int32_t> tokens);

// The reference sums in fp64, the others in fp32; equal rows give equal results whatever stands
// beside them.
struct TokenRowKernels {
  // sum [D], rows in the order of the tokens.
  void (*sum)(const TokenRows& rows, float* sum);
  // unit_rows [num_rows, D]: the rows at length 1; lengths are floored at 1e-12.
  void (*normalize)(const TokenRows& rows, float* unit_rows);
  // dots [num_rows] of rows [num_rows, D] with row [D].
  void (*dots)(const float* rows, int64_t num_rows, int64_t head_dim, const float* row,
               float* dots);
  // best_at [columns]: the first row with the largest value of each column of values [num_rows,
  // columns].
  void (*first_best_rows)(const float* values, int64_t num_rows, int64_t columns, int32_t* best_at);
};

const TokenRowKernels& token_row_kernels(Impl impl);

namespace detail {
extern const TokenRowKernels kTokenRowsReference;
extern const TokenRowKernels kTokenRowsBase;
extern const TokenRowKernels kTokenRowsAvx2;
extern const TokenRowKernels kTokenRowsAvx512;
}  // namespace detail

}  // namespace sparsescope
