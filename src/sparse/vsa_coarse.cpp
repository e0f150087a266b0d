#include "sparse/vsa_coarse.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "capture/query_columns.h"
#include "sparse/tile_scores.h"

namespace sparsescope {
namespace {

constexpr int64_t kBlockTiles = 64;  // query tiles whose rows of A are held at a time

void softmax_row(float* row, int64_t count) {
  const double top = *std::max_element(row, row + count);
  if (top == -std::numeric_limits<double>::infinity()) {
    std::fill_n(row, count, 0.0f);
    return;
  }
  double total = 0;
  for (int64_t j = 0; j < count; ++j) total += std::exp(row[j] - top);
  for (int64_t j = 0; j < count; ++j) {
    row[j] = static_cast<float>(std::exp(row[j] - top) / total);
  }
}

struct TileMeans {
  Matrix q, k, v;  // [N, D]
};

Matrix means_of(const VsaCoarseCall& call, const AttentionTensor& x) {
  return {call.layout->num_tiles(), x.head_dim, tile_means(call.impl, x, call.batch, call.head, *call.layout)};
}

TileMeans tile_means_of(const VsaCoarseCall& call) {
  return {means_of(call, call.q), means_of(call, call.k), means_of(call, call.v)};
}

// Rows of A [M, N] for the query means [M, D].
Matrix probabilities(const VsaCoarseCall& call, const Matrix& q, const Matrix& k) {
  Matrix probs = product(call.impl, q, k);
  for (float& score : probs.values) score *= call.scale;
  for (int64_t i = 0; i < probs.rows; ++i) softmax_row(probs.row(i), probs.cols);
  return probs;
}

// body(first, count) for each run of query tiles.
template <typename Body>
void for_tile_blocks(const VsaCoarseCall& call, Body body) {
  const int64_t num_tiles = call.layout->num_tiles();
  for (int64_t first = 0; first < num_tiles; first += kBlockTiles) {
    body(first, std::min(kBlockTiles, num_tiles - first));
  }
}

// body(tile, token) for every video token.
template <typename Body>
void for_tile_tokens(const VsaCoarseCall& call, Body body) {
  for (int64_t tile = 0; tile < call.layout->num_tiles(); ++tile) {
    for (const int32_t token : call.layout->tokens_of(tile)) body(tile, token);
  }
}

float* row_of(const MutableAttentionTensor& x, const VsaCoarseCall& call, int64_t token) {
  return x.data + call.batch * x.stride_batch + call.head * x.stride_head + token * x.stride_token;
}

// dOc [N, D]
Matrix coarse_output_gradient(const VsaCoarseCall& call, const AttentionTensor& d_out) {
  const int64_t head_dim = d_out.head_dim;
  std::vector<double> sums(call.layout->num_tiles() * head_dim, 0.0);
  std::vector<float> row(head_dim), gate(head_dim, 1.0f);
  for_tile_tokens(call, [&](int64_t tile, int64_t token) {
    load_row(d_out, call.batch, call.head, token, row.data());
    if (call.gate != nullptr) load_row(*call.gate, call.batch, call.head, token, gate.data());
    double* sum = &sums[tile * head_dim];
    for (int64_t d = 0; d < head_dim; ++d) sum[d] += static_cast<double>(row[d]) * gate[d];
  });
  return {call.layout->num_tiles(), head_dim, {sums.begin(), sums.end()}};
}

// dZ from A and dA, in place of dA, with the scale of the logits.
void softmax_gradient(const Matrix& probs, float scale, Matrix& d_probs) {
  for (int64_t i = 0; i < probs.rows; ++i) {
    const float* p = probs.row(i);
    float* d = d_probs.row(i);
    double delta = 0;
    for (int64_t j = 0; j < probs.cols; ++j) delta += static_cast<double>(p[j]) * d[j];
    for (int64_t j = 0; j < probs.cols; ++j) {
      d[j] = static_cast<float>(scale * p[j] * (d[j] - delta));
    }
  }
}

void add_to(std::vector<double>& sums, const Matrix& part) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += part.values[i];
}

// Every token of a tile gets its share of the gradient of the tile's mean.
void spread(const VsaCoarseCall& call, const double* gradient, int64_t head_dim,
            const MutableAttentionTensor& out) {
  for_tile_tokens(call, [&](int64_t tile, int64_t token) {
    const double share = 1.0 / call.layout->ranges[tile].count;
    float* row = row_of(out, call, token);
    for (int64_t d = 0; d < head_dim; ++d) {
      row[d] = static_cast<float>(row[d] + share * gradient[tile * head_dim + d]);
    }
  });
}

}  // namespace

Matrix vsa_coarse_output(const VsaCoarseCall& call) {
  const TileMeans means = tile_means_of(call);
  const Matrix v_columns = transposed(means.v);  // [D, N]
  Matrix coarse(means.q.rows, means.q.cols);
  for_tile_blocks(call, [&](int64_t first, int64_t count) {
    const Matrix probs = probabilities(call, rows_of(means.q, first, count), means.k);
    const Matrix part = product(call.impl, probs, v_columns);  // [M, D]
    std::copy(part.values.begin(), part.values.end(), coarse.row(first));
  });
  return coarse;
}

void add_vsa_coarse(const VsaCoarseCall& call, const Matrix& coarse,
                    const MutableAttentionTensor& out) {
  std::vector<float> gate(coarse.cols, 1.0f);
  for_tile_tokens(call, [&](int64_t tile, int64_t token) {
    if (call.gate != nullptr) load_row(*call.gate, call.batch, call.head, token, gate.data());
    float* row = row_of(out, call, token);
    for (int64_t d = 0; d < coarse.cols; ++d) row[d] += gate[d] * coarse.row(tile)[d];
  });
}

void add_vsa_coarse_gradients(const VsaCoarseCall& call, const AttentionTensor& d_out,
                              const MutableAttentionTensor& dq, const MutableAttentionTensor& dk,
                              const MutableAttentionTensor& dv) {
  const TileMeans means = tile_means_of(call);
  const Matrix d_coarse = coarse_output_gradient(call, d_out);
  const Matrix k_columns = transposed(means.k);  // [D, N]
  const size_t size = means.q.values.size();
  std::vector<double> d_q, d_k(size, 0.0), d_v(size, 0.0);  // of the means, [N, D]
  for_tile_blocks(call, [&](int64_t first, int64_t count) {
    const Matrix q = rows_of(means.q, first, count);
    const Matrix d_rows = rows_of(d_coarse, first, count);
    const Matrix probs = probabilities(call, q, means.k);   // [M, N]
    Matrix d_scores = product(call.impl, d_rows, means.v);  // dA, then dZ
    softmax_gradient(probs, call.scale, d_scores);
    const Matrix part = product(call.impl, d_scores, k_columns);  // [M, D]
    d_q.insert(d_q.end(), part.values.begin(), part.values.end());
    add_to(d_k, product(call.impl, transposed(d_scores), transposed(q)));
    add_to(d_v, product(call.impl, transposed(probs), transposed(d_rows)));
  });
  spread(call, d_q.data(), means.q.cols, dq);
  spread(call, d_k.data(), means.q.cols, dk);
  spread(call, d_v.data(), means.q.cols, dv);
}

void write_vsa_gate_gradient(const VsaCoarseCall& call, const Matrix& coarse,
                             const AttentionTensor& d_out, const MutableAttentionTensor& dgate) {
  for_tile_tokens(call, [&](int64_t tile, int64_t token) {
    float* row = row_of(dgate, call, token);
    load_row(d_out, call.batch, call.head, token, row);
    for (int64_t d = 0; d < coarse.cols; ++d) row[d] *= coarse.row(tile)[d];
  });
}

}  // namespace sparsescope
