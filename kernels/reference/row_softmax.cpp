#include <algorithm>

#include "kernels/reference/reference.h"

namespace sparsescope::reference {

RowSoftmax row_softmax(const AttentionTensor& q, const AttentionTensor& k, float scale, int64_t b,
                       int64_t h, int64_t token, const int32_t* keys, int64_t num_keys) {
  RowSoftmax row;
  row.probs.resize(num_keys);
  double row_max = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < num_keys; ++j) {
    double dot = 0;
    for (int64_t d = 0; d < q.head_dim; ++d) {
      dot += element(q, b, h, token, d) * element(k, b, h, keys[j], d);
    }
    row.probs[j] = scale * dot;
    row_max = std::max(row_max, row.probs[j]);
  }
  if (row_max == -std::numeric_limits<double>::infinity()) {
    std::fill(row.probs.begin(), row.probs.end(), 0.0);
    return row;
  }
  double sum = 0;
  for (double& value : row.probs) {
    value = std::exp(value - row_max);
    sum += value;
  }
  for (double& value : row.probs) value /= sum;
  row.lse = row_max + std::log(sum);
  return row;
}

void write_output_row(const RowSoftmax& row, const AttentionTensor& v, const int32_t* keys,
                      int64_t b, int64_t h, int64_t token, const MutableAttentionTensor& out) {
  float* out_row =
      out.data + b * out.stride_batch + h * out.stride_head + token * out.stride_token;  // [D]
  for (int64_t d = 0; d < v.head_dim; ++d) {
    double sum = 0;
    for (size_t j = 0; j < row.probs.size(); ++j) {
      if (row.probs[j] > 0) sum += row.probs[j] * element(v, b, h, keys[j], d);
    }
    out_row[d] = static_cast<float>(sum);
  }
}

}  // namespace sparsescope::reference
