// Where a row block's product of probabilities and V goes: into columns beside its queries, or,
// where rows meet in several items, straight into the rows that all items of a strand add to.
#pragma once

#include "kernels/cpu/products_body-inl.h"

namespace sparsescope::cpu {

// row_at(i)[0, kVecs vectors) += the product that multiply(i, acc) adds to the kRows rows of acc
// from row i on. The lines of the rows are asked for before the product and needed after it.
template <class Product, int kVecs, class RowAt, class Multiply>
[[gnu::always_inline]] inline void add_product(int32_t count, const RowAt& row_at,
                                               const Multiply& multiply) {
  using Simd = typename Product::Simd;
  constexpr int kColumns = kVecs * Simd::kLanes;
  for_runs<Tiling<Simd, kColumns>::kRun>(0, count, [&]<int kRows>(int32_t row) {
    float* to[kRows];
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      to[i] = row_at(row + i);
      for (int column = 0; column < kColumns; column += 16) __builtin_prefetch(to[i] + column, 1);
    }
    typename Simd::V acc[kRows][kVecs] = {};
    multiply(row, acc);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        float* at = to[i] + v * Simd::kLanes;
        Simd::store(at, Simd::load(at) + acc[i][v]);
      }
    }
  });
}

// Calls add<kVecs>(column) until all columns, padded to whole vectors, are covered.
template <class Simd, class Add>
[[gnu::always_inline]] inline void for_columns(int32_t columns, const Add& add) {
  int32_t column = 0;
  const auto cover = [&]<int kVecs>() {
    for (; column + (kVecs - 1) * Simd::kLanes < columns; column += kVecs * Simd::kLanes) {
      add.template operator()<kVecs>(column);
    }
  };
  cover.template operator()<Simd::kMaxVecs>();
  if constexpr (Simd::kMaxVecs > 2) cover.template operator()<2>();
  cover.template operator()<1>();
}

// columns[c, v] += sum over x of left[c, x] * right[x, v], the columns kWidth lanes apart.
template <class Product, int kWidth, int kColumns, class Multiply>
[[gnu::always_inline]] inline void update_columns(float* columns, const Multiply& multiply) {
  using Simd = typename Product::Simd;
  constexpr int kVecs = Tiling<Simd, kWidth>::kVecs;
  typename Simd::V acc[kColumns][kVecs];
#pragma GCC unroll 12
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) acc[c][v] = Simd::load(columns + c * kWidth + v * Simd::kLanes);
  }
  multiply(acc);
#pragma GCC unroll 12
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) Simd::store(columns + c * kWidth + v * Simd::kLanes, acc[c][v]);
  }
}

template <class Simd, int kWidth>
void scale_rows(float* columns, int64_t count, const float* factor) {
  for (int64_t i = 0; i < count; ++i) {
    for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
      float* at = columns + i * kWidth + lane;
      Simd::store(at, Simd::load(at) * Simd::load(factor + lane));
    }
  }
}

// [D, kWidth]
template <class Simd, int kWidth>
struct ColumnOutput {
  float* out_t;
  int32_t head_dim;

  void scale(const float* factor) const { scale_rows<Simd, kWidth>(out_t, head_dim, factor); }
};

// Rows index[num_rows] of a strand's.
template <class Simd, int kWidth>
struct MergedOutput {
  const MergedRows& merged;
  const int32_t* index;
  int32_t num_rows;
  int32_t head_dim;

  float* row(int32_t r) const { return merged.out + index[r] * merged.stride; }

  void scale(const float* factor) const {
    for (int32_t r = 0; r < num_rows; ++r) {
      if (factor[r] == 1.0f) continue;
      const auto scale = Simd::set(factor[r]);
      for (int32_t d = 0; d < head_dim; d += Simd::kLanes) {
        Simd::store(row(r) + d, Simd::load(row(r) + d) * scale);
      }
    }
  }
};

// Adds one key block of probabilities, [count, kWidth]. Fetches the rows of K of the next block.
template <class Simd, int kWidth>
void add_values(const HeadKeys& keys, const KeyBlock& block, const KeyBlock& next,
                const float* probs, const ColumnOutput<Simd, kWidth>& output) {
  using T = Tiling<Simd, kWidth>;
  const float* v = keys.v + block.first * keys.stride;
  const float* next_k = keys.k + next.first * keys.stride;
  const int64_t floats_per_column = next.count * keys.stride / keys.head_dim;
  const int64_t step =
      keys.fetch_ahead ? ceil_div<Simd>(T::kRun * floats_per_column, block.count) : 0;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    for_runs<T::kRun>(0, keys.head_dim, [&]<int kColumns>(int32_t column) {
      update_columns<FloatProducts<Simd>, kWidth, kColumns>(
          output.out_t + column * kWidth + lane, [&](auto& acc) {
            Ahead<Simd> ahead{next_k + column * floats_per_column, step};
            multiply_add<FloatProducts<Simd>>(acc, {v + column, 1, keys.stride}, probs + lane,
                                              kWidth, block.count, [&] { ahead.fetch(); });
          });
    });
  }
}

template <class Simd, int kWidth>
void add_values(const HeadKeys& keys, const KeyBlock& block, const KeyBlock& next,
                const float* probs, const MergedOutput<Simd, kWidth>& output) {
  const float* v = keys.v + block.first * keys.stride;
  const float* next_k = keys.k + next.first * keys.stride;
  const int64_t floats_per_row = ceil_div<Simd>(next.count * keys.stride, output.num_rows);
  for_columns<Simd>(keys.head_dim, [&]<int kVecs>(int32_t column) {
    constexpr int kRun = Tiling<Simd, kVecs * Simd::kLanes>::kRun;
    const int64_t step =
        keys.fetch_ahead && column == 0 ? ceil_div<Simd>(kRun * floats_per_row, block.count) : 0;
    add_product<FloatProducts<Simd>, kVecs>(
        output.num_rows, [output, column](int32_t r) { return output.row(r) + column; },
        [&](int32_t r, auto& acc) {
          Ahead<Simd> ahead{next_k + r * floats_per_row, step};
          multiply_add<FloatProducts<Simd>>(acc, {probs + r, 1, kWidth}, v + column, keys.stride,
                                            block.count, [&] { ahead.fetch(); });
        });
  });
}

}  // namespace sparsescope::cpu
