// The two matrix products of a row block: S^T = K Q^T and O^T += V^T P^T. Each step holds a
// register tile of kRun keys (or columns) x kVecs vectors of lanes; the scalars of K and V are
// broadcast.
#pragma once

#include "kernels/cpu/block_kernels.h"

namespace sparsescope::cpu {

// How the lanes of a row block map to registers.
template <class Simd, int kWidth>
struct Tiling {
  static constexpr int kVectors = kWidth / Simd::kLanes;
  static constexpr int kVecs = kVectors < Simd::kMaxVecs ? kVectors : Simd::kMaxVecs;  // at a time
  static constexpr int kStep = kVecs * Simd::kLanes;                                   // lanes
  static constexpr int kFit = Simd::kAccumulators / kVecs;
  static constexpr int kRun = kFit < 12 ? kFit : 12;  // keys or columns at a time
};

// Calls step<n>(start) over [0, count) in runs of kRun, then of fewer. Eight are taken as 4 + 4:
// two accumulator rows alone would not hide the latency of the multiply-adds.
template <int kRun, class Step>
[[gnu::always_inline]] inline void for_runs(int32_t start, int32_t count, const Step& step) {
  for (; count - start >= kRun && !(kRun == 6 && count - start == 8); start += kRun) {
    step.template operator()<kRun>(start);
  }
  if constexpr (kRun > 1) {
    if (start < count) {
      constexpr int kNext = kRun > 6 ? 6 : kRun > 4 ? 4 : kRun / 2;
      for_runs<kNext>(start, count, step);
    }
  }
}

template <class Simd>
inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Rows that will be needed soon, fetched into L2 at an even pace. Where K and V of a head outgrow
// L2, the hardware does not follow a walk down the columns of V: 1.09 x at S 4096, D 128. The same
// lines fetched in bursts gain nothing.
template <class Simd>
struct Ahead {
  const float* at;
  int64_t step;  // floats an iteration

  [[gnu::always_inline]] void fetch() {
    __builtin_prefetch(at, 0, 2);
    at += step;
  }
};

// kRows rows of a product with a row-major left factor, in registers:
//   acc[i, column] = sum over x < depth of a[i, x] * b[x, column],   kVecs vectors of columns
// done(i, v, acc) takes each vector of the result.
template <class Simd, int kVecs, int kRows, class Done>
[[gnu::always_inline]] inline void row_product(const float* a, int64_t a_stride, const float* b,
                                               int64_t b_stride, int32_t depth, Ahead<Simd> ahead,
                                               const Done& done) {
  using V = typename Simd::V;
  V acc[kRows][kVecs] = {};
  for (int32_t x = 0; x < depth; ++x) {
    ahead.fetch();
    V right[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) right[v] = Simd::load(b + x * b_stride + v * Simd::kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const V left = Simd::broadcast(a + i * a_stride + x);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) acc[i][v] += left * right[v];
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) done(i, v, acc[i][v]);
  }
}

// The scores of one key block, [count, kWidth], and each lane's maximum of them, [kWidth]. Fetches
// the block's rows of V.
template <class Simd, int kWidth>
void score_block(const HeadKeys& keys, const KeyBlock& block, const RowTile& rows,
                 float* block_max) {
  using T = Tiling<Simd, kWidth>;
  const int64_t first = block.first * keys.stride;
  const int64_t step = keys.fetch_ahead ? ceil_div<Simd>(T::kRun * keys.stride, keys.head_dim) : 0;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    typename Simd::V highest[T::kVecs];
    for (auto& vector : highest) vector = Simd::set(-__builtin_inff());
    for_runs<T::kRun>(0, block.count, [&]<int kKeys>(int32_t key) {
      const int64_t at = first + key * keys.stride;
      const Ahead<Simd> ahead{keys.v + at, step};
      float* scores = rows.scores + key * kWidth + lane;
      row_product<Simd, T::kVecs, kKeys>(
          keys.k + at, keys.stride, rows.q_t + lane, kWidth, keys.head_dim, ahead,
          [&](int i, int v, typename Simd::V score) {
            Simd::store(scores + i * kWidth + v * Simd::kLanes, score);
            highest[v] = Simd::max(highest[v], score);
          });
    });
    for (int v = 0; v < T::kVecs; ++v) {
      Simd::store(block_max + lane + v * Simd::kLanes, highest[v]);
    }
  }
}

// out_t[c, lane] += sum over keys of values[key, c] * p[key, lane]
template <class Simd, int kWidth, int kColumns>
[[gnu::always_inline]] inline void output_run(const float* p, const float* values, int64_t stride,
                                              int32_t count, Ahead<Simd> ahead, float* out_t) {
  using V = typename Simd::V;
  constexpr int kVecs = Tiling<Simd, kWidth>::kVecs;
  V acc[kColumns][kVecs];
#pragma GCC unroll 12
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) acc[c][v] = Simd::load(out_t + c * kWidth + v * Simd::kLanes);
  }
  for (int32_t key = 0; key < count; ++key) {
    ahead.fetch();
    V weight[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) weight[v] = Simd::load(p + key * kWidth + v * Simd::kLanes);
#pragma GCC unroll 12
    for (int c = 0; c < kColumns; ++c) {
      const V value = Simd::broadcast(values + key * stride + c);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) acc[c][v] += value * weight[v];
    }
  }
#pragma GCC unroll 12
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) Simd::store(out_t + c * kWidth + v * Simd::kLanes, acc[c][v]);
  }
}

// Adds one key block to the output. Fetches the rows of K of the next block.
template <class Simd, int kWidth>
void accumulate_output(const HeadKeys& keys, const KeyBlock& block, const KeyBlock& next,
                       const RowTile& rows) {
  using T = Tiling<Simd, kWidth>;
  const float* v = keys.v + block.first * keys.stride;
  const float* next_k = keys.k + next.first * keys.stride;
  const int64_t floats_per_column = next.count * keys.stride / keys.head_dim;
  const int64_t step =
      keys.fetch_ahead ? ceil_div<Simd>(T::kRun * floats_per_column, block.count) : 0;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    for_runs<T::kRun>(0, keys.head_dim, [&]<int kColumns>(int32_t column) {
      const Ahead<Simd> ahead{next_k + column * floats_per_column, step};
      output_run<Simd, kWidth, kColumns>(rows.scores + lane, v + column, keys.stride, block.count,
                                         ahead, rows.out_t + column * kWidth + lane);
    });
  }
}

}  // namespace sparsescope::cpu
