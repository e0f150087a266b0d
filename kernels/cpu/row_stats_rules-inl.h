// Ranges, moments and threshold rules of the columns of a block.
#pragma once

#include "kernels/cpu/row_stats_vector-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

void min_max(const float* data, int64_t rows, float* min, float* max) {
  for (int v = 0; v < kLanes; v += kWidth) {
    Vec low = load(data + v), high = low;
    for (int64_t r = 1; r < rows; ++r) {
      const Vec value = load(data + r * kLanes + v);
      low = value < low ? value : low;
      high = value > high ? value : high;
    }
    store(min + v, low);
    store(max + v, high);
  }
}

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
template <bool kByLane>
void threshold_sums(const float* key, const float* value, const float* size, int64_t rows,
                    const float* threshold, float* value_sum, float* size_sum) {
  constexpr int kAtOnce = kVectors < 4 ? kVectors : 4;
  for (int lane = 0; lane < kLanes; lane += kAtOnce * kWidth) {
    Vec values[kAtOnce] = {}, sizes[kAtOnce] = {};
    for (int64_t r = 0; r < rows; ++r) {
      const Vec row_size = broadcast(size[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kAtOnce; ++v) {
        const int64_t at = r * kLanes + lane + v * kWidth;
        const Vec limit = kByLane ? load(threshold + lane + v * kWidth) : broadcast(threshold[r]);
        const auto kept = load(key + at) >= limit;
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

// In fp64: the published rule decides by differences of 1e-6 where gates tie.
void pool_sums(const PoolSumsParams& p) {
  for (int v = 0; v < kLanes; v += kDoubleWidth) {
    const DoubleVec lo = load(p.lo + v), inverse = load(p.inverse_width + v);
    DoubleVec sum{};
    for (int64_t r = 0; r < p.rows; ++r) {
      // What was reached before row r: the row is kept while that falls short.
      store(p.cumulative + r * kLanes + v, sum);
      sum += (load_as_double(p.gate + r * kLanes + v) - lo) * inverse;
    }
    for (int64_t tau = 0; tau < p.num_taus; ++tau) {
      const DoubleVec needed = load(p.needed + tau * kLanes + v);
      DoubleVec mass{}, size{};
      for (int64_t r = 0; r < p.rows; ++r) {
        const int64_t at = r * kLanes + v;
        if (r == 0) {
          mass += load_as_double(p.mass + at);
          size += load_as_double(p.size + at);
          continue;
        }
        const auto kept = load(p.cumulative + at) < needed;
        mass += kept ? load_as_double(p.mass + at) : DoubleVec{};
        size += kept ? load_as_double(p.size + at) : DoubleVec{};
      }
      store(p.mass_sum + tau * kLanes + v, mass);
      store(p.size_sum + tau * kLanes + v, size);
    }
  }
}

}  // namespace
}  // namespace sparsescope
