// The definition of correct: naive loops, fp64 inside, one row at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "core/dtype.h"
#include "kernels/attention.h"

namespace sparsescope::reference {

void dense_attention(const DenseAttentionParams& params, ThreadPool& pool);
void sparse_attention(const SparseAttentionParams& params, ThreadPool& pool);
// Recomputes output and log-sum-exp in fp64 and does not look at those of the parameters.
void sparse_backward(const SparseBackwardParams& params, ThreadPool& pool);

// Element d of one token's row.
inline double element(const AttentionTensor& x, int64_t b, int64_t h, int64_t token, int64_t d) {
  const int64_t at = b * x.stride_batch + h * x.stride_head + token * x.stride_token + d;
  switch (x.dtype) {
    case Dtype::kBF16:
      return bf16_to_float(static_cast<const uint16_t*>(x.data)[at]);
    case Dtype::kF16:
      return f16_to_float(static_cast<const uint16_t*>(x.data)[at]);
    default:
      return static_cast<const float*>(x.data)[at];
  }
}

// The softmax of one row over a list of keys.
struct RowSoftmax {
  std::vector<double> probs;  // [keys], all zero where every logit is -inf
  double lse = -std::numeric_limits<double>::infinity();
};

// The keys of every row of a strand: the ranges of all items in which the row occurs, in item
// order.
std::map<int32_t, std::vector<int32_t>> keys_of_rows(const SparseSelection& selection,
                                                     const SparseStrand& strand);

// Row `token` of head (b, h) against the tokens in keys[0 .. num_keys).
RowSoftmax row_softmax(const AttentionTensor& q, const AttentionTensor& k, float scale, int64_t b,
                       int64_t h, int64_t token, const int32_t* keys, int64_t num_keys);

// out[d] = sum over keys of probs * v.
void write_output_row(const RowSoftmax& row, const AttentionTensor& v, const int32_t* keys,
                      int64_t b, int64_t h, int64_t token, const MutableAttentionTensor& out);

}  // namespace sparsescope::reference
