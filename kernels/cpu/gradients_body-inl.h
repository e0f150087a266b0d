// Gradients of one row block against a list of key blocks. The probabilities are computed again
// from the log-sum-exp of the forward pass, so that no maximum and no rescaling is needed; one pass
// over a key block gives all three gradients, five products in all.
#pragma once

#include "kernels/cpu/softmax_body-inl.h"

namespace sparsescope::cpu {

// products[key, lane] = sum over d of rows[key, d] * columns[d, lane]
template <class Simd, int kWidth>
void multiply_block(const float* rows, int64_t stride, int32_t count, int32_t head_dim,
                    const float* columns, float* products) {
  using T = Tiling<Simd, kWidth>;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    for_runs<T::kRun>(0, count, [&]<int kKeys>(int32_t key) {
      float* to = products + key * kWidth + lane;
      row_product<Simd, T::kVecs, kKeys>(rows + key * stride, stride, columns + lane, kWidth,
                                         head_dim, Ahead<Simd>{rows, 0},
                                         [&](int i, int v, typename Simd::V sum) {
                                           Simd::store(to + i * kWidth + v * Simd::kLanes, sum);
                                         });
    });
  }
}

template <class Simd>
void column_dots(const float* a_t, const float* b_t, int32_t head_dim, int32_t lanes, float* dots) {
  for (int32_t lane = 0; lane < lanes; lane += Simd::kLanes) {
    auto sum = Simd::set(0.0f);
    for (int32_t d = 0; d < head_dim; ++d) {
      sum += Simd::load(a_t + d * lanes + lane) * Simd::load(b_t + d * lanes + lane);
    }
    Simd::store(dots + lane, sum);
  }
}

// probs: scores -> 2^(score - lse).  d_scores: d_out . v -> probs * (d_out . v - delta).
template <class Simd, int kWidth>
void differentiate_softmax(int32_t count, const GradientTile& rows) {
  for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
    const auto lse = Simd::load(rows.lse + lane), delta = Simd::load(rows.delta + lane);
    for (int32_t key = 0; key < count; ++key) {
      float* p_at = rows.probs + key * kWidth + lane;
      float* d_at = rows.d_scores + key * kWidth + lane;
      const auto p = Simd::exp2(Simd::load(p_at) - lse);
      Simd::store(p_at, p);
      Simd::store(d_at, p * (Simd::load(d_at) - delta));
    }
  }
}

// out[key, column] += sum over rows of weights[key, row] * values[row, column], kVecs vectors of
// columns. The lines of out are asked for before the product and needed after it.
template <class Simd, int kVecs>
void accumulate_keys(const float* weights, int32_t lanes, int32_t count, const float* values,
                     int64_t values_stride, int32_t num_rows, float* out, int64_t out_stride) {
  using T = Tiling<Simd, kVecs * Simd::kLanes>;
  for_runs<T::kRun>(0, count, [&]<int kKeys>(int32_t key) {
    float* to = out + key * out_stride;
#pragma GCC unroll 12
    for (int i = 0; i < kKeys; ++i) {
      for (int column = 0; column < kVecs * Simd::kLanes; column += 16) {
        __builtin_prefetch(to + i * out_stride + column, 1);
      }
    }
    row_product<Simd, kVecs, kKeys>(weights + key * lanes, lanes, values, values_stride, num_rows,
                                    Ahead<Simd>{values, 0},
                                    [&](int i, int v, typename Simd::V sum) {
                                      float* at = to + i * out_stride + v * Simd::kLanes;
                                      Simd::store(at, Simd::load(at) + sum);
                                    });
  });
}

// The same over all columns; the rows of values and out are padded to whole vectors.
template <class Simd>
void accumulate_keys(const float* weights, int32_t lanes, int32_t count, const float* values,
                     int64_t values_stride, int32_t num_rows, int32_t columns, float* out,
                     int64_t out_stride) {
  int32_t column = 0;
  const auto step = [&]<int kVecs>() {
    for (; column + (kVecs - 1) * Simd::kLanes < columns; column += kVecs * Simd::kLanes) {
      accumulate_keys<Simd, kVecs>(weights, lanes, count, values + column, values_stride, num_rows,
                                   out + column, out_stride);
    }
  };
  step.template operator()<Simd::kMaxVecs>();
  if constexpr (Simd::kMaxVecs > 2) step.template operator()<2>();
  step.template operator()<1>();
}

template <class Simd, int kWidth>
void differentiate_rows(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                        const GradientTile& rows, const KeyGradients& gradients) {
  using T = Tiling<Simd, kWidth>;
  const int32_t head_dim = keys.head_dim;
  for (int32_t j = 0; j < num_blocks; ++j) {
    const KeyBlock& block = blocks[j];
    const int64_t first = block.first * keys.stride;
    multiply_block<Simd, kWidth>(keys.k + first, keys.stride, block.count, head_dim, rows.q_t,
                                 rows.probs);
    multiply_block<Simd, kWidth>(keys.v + first, keys.stride, block.count, head_dim, rows.d_out_t,
                                 rows.d_scores);
    differentiate_softmax<Simd, kWidth>(block.count, rows);
    for (int lane = 0; lane < kWidth; lane += T::kStep) {
      for_runs<T::kRun>(0, head_dim, [&]<int kColumns>(int32_t column) {
        output_run<Simd, kWidth, kColumns>(rows.d_scores + lane, keys.k + first + column,
                                           keys.stride, block.count, Ahead<Simd>{keys.k + first, 0},
                                           rows.dq_t + column * kWidth + lane);
      });
    }
    accumulate_keys<Simd>(rows.probs, kWidth, block.count, rows.d_out_rows, rows.row_stride,
                          rows.num_rows, head_dim, gradients.dv + first, keys.stride);
    accumulate_keys<Simd>(rows.d_scores, kWidth, block.count, rows.q_rows, rows.row_stride,
                          rows.num_rows, head_dim, gradients.dk + first, keys.stride);
  }
}

template <class Simd>
void differentiate(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                   const GradientTile& rows, const KeyGradients& gradients) {
  switch (rows.lanes) {
    case 16:
      return differentiate_rows<Simd, 16>(keys, blocks, num_blocks, rows, gradients);
    case 32:
      return differentiate_rows<Simd, 32>(keys, blocks, num_blocks, rows, gradients);
    default:
      return differentiate_rows<Simd, 64>(keys, blocks, num_blocks, rows, gradients);
  }
}

}  // namespace sparsescope::cpu
