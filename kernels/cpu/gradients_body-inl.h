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
      Ahead<Simd> next{ahead + key * stride, step};
      multiply_tile<FloatProducts<Simd>, kKeys, T::kVecs>(
          {rows + key * stride, stride, 1}, columns + lane, kWidth, head_dim, [&] { next.fetch(); },
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

// out[key, column] += sum over rows of weights[key, row] * values[row, column]; the rows of values
// and out are padded to whole vectors. ahead: rows of the stride of out to fetch, or null.
template <class Simd>
void accumulate_keys(const float* weights, int32_t lanes, int32_t count, const float* values,
                     int64_t values_stride, int32_t num_rows, int32_t columns, const float* ahead,
                     float* out, int64_t out_stride) {
  for_columns<Simd>(columns, [&]<int kVecs>(int32_t column) {
    constexpr int kRun = Tiling<Simd, kVecs * Simd::kLanes>::kRun;
    const bool fetches = ahead != nullptr && column == 0;
    const float* fetched = fetches ? ahead : out;
    const int64_t step = fetches ? ceil_div<Simd>(kRun * out_stride, num_rows) : 0;
    add_product<FloatProducts<Simd>, kVecs>(
        count, [out, out_stride, column](int32_t key) { return out + key * out_stride + column; },
        [&](int32_t key, auto& acc) {
          Ahead<Simd> next{fetched + key * out_stride, step};
          multiply_add<FloatProducts<Simd>>(acc, {weights + key * lanes, lanes, 1}, values + column,
                                            values_stride, num_rows, [&] { next.fetch(); });
        });
  });
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
        update_columns<FloatProducts<Simd>, kWidth, kColumns>(
            rows.dq_t + column * kWidth + lane, [&](auto& acc) {
              Ahead<Simd> ahead{gradients.dk + first + column * per_column, step};
              multiply_add<FloatProducts<Simd>>(acc, {keys.k + first + column, 1, keys.stride},
                                                rows.d_scores + lane, kWidth, block.count,
                                                [&] { ahead.fetch(); });
            });
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
  with_lanes<Simd>(rows.lanes, [&]<int kWidth>() {
    differentiate_rows<Simd, kWidth>(keys, blocks, num_blocks, rows, gradients);
  });
}

}  // namespace sparsescope::cpu
