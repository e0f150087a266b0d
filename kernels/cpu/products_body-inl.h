// Matrix products in register tiles of kRun rows x kVecs vectors: scalars of the left factor are
// broadcast, rows of the right one loaded. The first of them: the scores S^T = K Q^T.
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

// Calls run<kWidth>() for a row block of 16, 32 or 64 lanes.
template <class Simd, class Run>
[[gnu::always_inline]] inline void with_lanes(int32_t lanes, const Run& run) {
  switch (lanes) {
    case 16:
      return run.template operator()<16>();
    case 32:
      return run.template operator()<32>();
    default:
      return run.template operator()<64>();
  }
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

// What a product multiplies: fp32 values, one a lane.
template <class SimdType>
struct FloatProducts {
  using Simd = SimdType;
  using V = typename Simd::V;
  static V load(const float* at) { return Simd::load(at); }
  static V broadcast(const float* at) { return Simd::broadcast(at); }
  static V add(V sum, V left, V right) { return sum + left * right; }
};

// A left factor: element [i, x] lies at[i * row_step + x * depth_step].
struct LeftFactor {
  const float* at;
  int64_t row_step;
  int64_t depth_step;
};

// acc[i, v] += sum over x < depth of left[i, x] * right[x, v]; v counts vectors of columns. Calls
// fetch once an iteration.
template <class Product, int kRows, int kVecs, class Fetch>
[[gnu::always_inline]] inline void multiply_add(typename Product::V (&acc)[kRows][kVecs],
                                                const LeftFactor& left, const float* right,
                                                int64_t right_stride, int32_t depth,
                                                Fetch&& fetch) {
  constexpr int kLanes = Product::Simd::kLanes;
  for (int32_t x = 0; x < depth; ++x) {
    fetch();
    decltype(Product::load(right)) factor[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v)
      factor[v] = Product::load(right + x * right_stride + v * kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const auto scalar = Product::broadcast(left.at + i * left.row_step + x * left.depth_step);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) acc[i][v] = Product::add(acc[i][v], scalar, factor[v]);
    }
  }
}

// One such tile from zero; done(i, v, sum) takes each vector of it.
template <class Product, int kRows, int kVecs, class Fetch, class Done>
[[gnu::always_inline]] inline void multiply_tile(const LeftFactor& left, const float* right,
                                                 int64_t right_stride, int32_t depth, Fetch&& fetch,
                                                 const Done& done) {
  typename Product::V acc[kRows][kVecs] = {};
  multiply_add<Product>(acc, left, right, right_stride, depth, fetch);
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
      Ahead<Simd> ahead{keys.v + at, step};
      float* scores = rows.scores + key * kWidth + lane;
      multiply_tile<FloatProducts<Simd>, kKeys, T::kVecs>(
          {keys.k + at, keys.stride, 1}, rows.q_t + lane, kWidth, keys.head_dim,
          [&] { ahead.fetch(); },
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

}  // namespace sparsescope::cpu
