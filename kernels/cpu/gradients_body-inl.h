// Gradients of one row block against a list of key blocks. The probabilities are computed again
// from the log-sum-exp of the forward pass, so that no maximum and no rescaling is needed; one pass
// over a key block gives all three gradients, five products in all.
#pragma once

#include "kernels/cpu/softmax_body-inl.h"

namespace sparsescope::cpu {

// products[key, lane] = sum over d of rows[key, d] * columns[d, lane]. Fetches as many rows from
// ahead on, of the same stride, where fetch is set.
template <class Simd, int kWidth>
void multiply_block(const float* rows, int64_t stride, int32_t count, int32_t head_dim,
                    const float* columns, bool fetch, const float* ahead, float* products) {
  using T = Tiling<Simd, kWidth>;
  const int64_t step = fetch ? ceil_div<Simd>(T::kRun * stride, head_dim) : 0;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    for_runs<T::kRun>(0, count, [&]<int kKeys>(int32_t key) {
      float* to = products + key * kWidth + lane;
      row_product<Simd, T::kVecs, kKeys>(rows + key * stride, stride, columns + lane, kWidth,
                                         head_dim, Ahead<Simd>{ahead + key * stride, step},
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
// columns. The lines of out are asked for before the product and needed after it. ahead: rows of
// the stride of out to fetch, or null.
template <class Simd, int kVecs>
void accumulate_keys(const float* weights, int32_t lanes, int32_t count, const float* values,
                     int64_t values_stride, int32_t num_rows, const float* ahead, float* out,
                     int64_t out_stride) {
  using T = Tiling<Simd, kVecs * Simd::kLanes>;
  const int64_t step = ahead == nullptr ? 0 : ceil_div<Simd>(T::kRun * out_stride, num_rows);
  for_runs<T::kRun>(0, count, [&]<int kKeys>(int32_t key) {
    float* to = out + key * out_stride;
#pragma GCC unroll 12
    for (int i = 0; i < kKeys; ++i) {
      for (int column = 0; column < kVecs * Simd::kLanes; column += 16) {
        __builtin_prefetch(to + i * out_stride + column, 1);
      }
    }
    row_product<Simd, kVecs, kKeys>(
        weights + key * lanes, lanes, values, values_stride, num_rows,
        Ahead<Simd>{ahead == nullptr ? to : ahead + key * out_stride, step},
        [&](int i, int v, typename Simd::V sum) {
          float* at = to + i * out_stride + v * Simd::kLanes;
          Simd::store(at, Simd::load(at) + sum);
        });
  });
}

// The same over all columns; the rows of values and out are padded to whole vectors.
template <class Simd>
void accumulate_keys(const float* weights, int32_t lanes, int32_t count, const float* values,
                     int64_t values_stride, int32_t num_rows, int32_t columns, const float* ahead,
                     float* out, int64_t out_stride) {
  int32_t column = 0;
  const auto step = [&]<int kVecs>() {
    for (; column + (kVecs - 1) * Simd::kLanes < columns; column += kVecs * Simd::kLanes) {
      accumulate_keys<Simd, kVecs>(weights, lanes, count, values + column, values_stride, num_rows,
                                   column == 0 ? ahead : nullptr, out + column, out_stride);
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
    const float* next_k = keys.fetch_ahead && j + 1 < num_blocks
                              ? keys.k + blocks[j + 1].first * keys.stride
                              : nullptr;
    multiply_block<Simd, kWidth>(keys.k + first, keys.stride, block.count, head_dim, rows.q_t,
                                 keys.fetch_ahead, keys.v + first, rows.probs);
    multiply_block<Simd, kWidth>(keys.v + first, keys.stride, block.count, head_dim, rows.d_out_t,
                                 keys.fetch_ahead, gradients.dv + first, rows.d_scores);
    differentiate_softmax<Simd, kWidth>(block.count, rows);
    const int64_t per_column = block.count * keys.stride / head_dim;
    const int64_t step = keys.fetch_ahead ? ceil_div<Simd>(T::kRun * per_column, block.count) : 0;
    for (int lane = 0; lane < kWidth; lane += T::kStep) {
      for_runs<T::kRun>(0, head_dim, [&]<int kColumns>(int32_t column) {
        const Ahead<Simd> ahead{gradients.dk + first + column * per_column, step};
        output_run<Simd, kWidth, kColumns>(rows.d_scores + lane, keys.k + first + column,
                                           keys.stride, block.count, ahead,
                                           rows.dq_t + column * kWidth + lane);
      });
    }
    accumulate_keys<Simd>(rows.probs, kWidth, block.count, rows.d_out_rows, rows.row_stride,
                          rows.num_rows, head_dim, next_k, gradients.dv + first, keys.stride);
    accumulate_keys<Simd>(rows.d_scores, kWidth, block.count, rows.q_rows, rows.row_stride,
                          rows.num_rows, head_dim, nullptr, gradients.dk + first, keys.stride);
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
