#include <algorithm>
#include <set>

#include "kernels/reference/reference.h"

namespace sparsescope::reference {
namespace {

// Gradients of one head, [S, D] each.
struct HeadGradients {
  std::vector<double> dq, dk, dv;
};

double dot(const AttentionTensor& a, int64_t a_token, const AttentionTensor& b, int64_t b_token,
           int64_t batch, int64_t head) {
  double sum = 0;
  for (int64_t d = 0; d < a.head_dim; ++d) {
    sum += element(a, batch, head, a_token, d) * element(b, batch, head, b_token, d);
  }
  return sum;
}

void add_row(const SparseBackwardParams& params, const SparseStrand& strand, int32_t token,
             const std::vector<int32_t>& keys, HeadGradients& gradients) {
  const int64_t b = strand.batch, h = strand.head, head_dim = params.q.head_dim;
  const RowSoftmax row = row_softmax(params.q, params.k, params.scale, b, h, token, keys.data(),
                                     static_cast<int64_t>(keys.size()));
  // d_out . out = sum over keys of P * dP
  std::vector<double> d_probs(keys.size());
  double delta = 0;
  for (size_t j = 0; j < keys.size(); ++j) {
    d_probs[j] = dot(params.d_out, token, params.v, keys[j], b, h);
    delta += row.probs[j] * d_probs[j];
  }
  for (size_t j = 0; j < keys.size(); ++j) {
    const double d_score = params.scale * row.probs[j] * (d_probs[j] - delta);
    for (int64_t d = 0; d < head_dim; ++d) {
      const int64_t at_query = token * head_dim + d, at_key = keys[j] * head_dim + d;
      gradients.dq[at_query] += d_score * element(params.k, b, h, keys[j], d);
      gradients.dk[at_key] += d_score * element(params.q, b, h, token, d);
      gradients.dv[at_key] += row.probs[j] * element(params.d_out, b, h, token, d);
    }
  }
}

void write_head(const std::vector<double>& values, const AttentionTensor& shape, int64_t b,
                int64_t h, const MutableAttentionTensor& out) {
  for (int64_t token = 0; token < shape.tokens; ++token) {
    const double* from = &values[token * shape.head_dim];
    float* to = out.data + b * out.stride_batch + h * out.stride_head + token * out.stride_token;
    std::transform(from, from + shape.head_dim, to,
                   [](double value) { return static_cast<float>(value); });
  }
}

}  // namespace

void sparse_backward(const SparseBackwardParams& params, ThreadPool& pool) {
  const SparseSelection& selection = params.selection;
  std::set<std::pair<int32_t, int32_t>> present;
  for (int64_t i = 0; i < selection.num_strands; ++i) {
    present.emplace(selection.strands[i].batch, selection.strands[i].head);
  }
  const std::vector<std::pair<int32_t, int32_t>> heads(present.begin(), present.end());
  pool.parallel_for(static_cast<int64_t>(heads.size()), [&](int64_t item, int) {
    const auto [b, h] = heads[item];
    const std::vector<double> zero(params.q.tokens * params.q.head_dim, 0.0);
    HeadGradients gradients{zero, zero, zero};
    for (int64_t i = 0; i < selection.num_strands; ++i) {
      const SparseStrand& strand = selection.strands[i];
      if (strand.batch != b || strand.head != h) continue;
      for (const auto& [token, keys] : keys_of_rows(selection, strand)) {
        add_row(params, strand, token, keys, gradients);
      }
    }
    write_head(gradients.dq, params.q, b, h, params.dq);
    write_head(gradients.dk, params.k, b, h, params.dk);
    write_head(gradients.dv, params.v, b, h, params.dv);
  });
}

}  // namespace sparsescope::reference
