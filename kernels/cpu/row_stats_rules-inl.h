// Moments and threshold sums of the columns of a block.
#pragma once

#include "kernels/cpu/row_stats_vector-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

void moments(const float* data, int64_t rows, double* mean, double* m2, double* m3, double* m4) {
  const double share = 1.0 / static_cast<double>(rows);
  for (int v = 0; v < kLanes; v += kDoubleWidth) {
    DoubleVec sum{};
    for (int64_t r = 0; r < rows; ++r) sum += load_as_double(data + r * kLanes + v);
    const DoubleVec centre = sum * share;
    DoubleVec second{}, third{}, fourth{};
    for (int64_t r = 0; r < rows; ++r) {
      const DoubleVec x = load_as_double(data + r * kLanes + v) - centre;
      const DoubleVec square = x * x;
      second += square;
      third += square * x;
      fourth += square * square;
    }
    store(mean + v, centre);
    store(m2 + v, second * share);
    store(m3 + v, third * share);
    store(m4 + v, fourth * share);
  }
}

// Several vectors at once: one alone would wait for its own additions.
void lane_threshold_sums(const float* key, const float* value, const float* size, int64_t rows,
                         const float* threshold, float* value_sum, float* size_sum) {
  constexpr int kAtOnce = kVectors < 4 ? kVectors : 4;
  for (int lane = 0; lane < kLanes; lane += kAtOnce * kWidth) {
    Vec values[kAtOnce] = {}, sizes[kAtOnce] = {}, limit[kAtOnce];
    for (int v = 0; v < kAtOnce; ++v) limit[v] = load(threshold + lane + v * kWidth);
    for (int64_t r = 0; r < rows; ++r) {
      const Vec row_size = broadcast(size[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kAtOnce; ++v) {
        const int64_t at = r * kLanes + lane + v * kWidth;
        const auto kept = load(key + at) >= limit[v];
        values[v] += kept ? load(value + at) : Vec{};
        sizes[v] += kept ? row_size : Vec{};
      }
    }
    for (int v = 0; v < kAtOnce; ++v) {
      store(value_sum + lane + v * kWidth, values[v]);
      store(size_sum + lane + v * kWidth, sizes[v]);
    }
  }
}

}  // namespace
}  // namespace sparsescope
