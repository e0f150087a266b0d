// The softmax step between the two products, with a maximum that is allowed to be stale: as long as
// no lane's scores exceed row_max by more than the threshold, nothing needs rescaling and 2^(s -
// max) stays below 2^8, so that nothing is lost in fp32.
#pragma once

#include "kernels/cpu/outputs_body-inl.h"

namespace sparsescope::cpu {

inline constexpr float kRescaleThreshold = 8.0f;  // log2 units

template <class Simd, int kWidth>
bool exceeds_threshold(const float* block_max, const float* row_max) {
  bool any = false;
  for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
    any |= Simd::any_greater(Simd::load(block_max + lane),
                             Simd::load(row_max + lane) + Simd::set(kRescaleThreshold));
  }
  return any;
}

// Takes the new maximum in every lane and rescales all sums, output included; masses may be null.
template <class Simd, int kWidth, class Output>
void raise_maximum(const float* block_max, const RowTile& rows, MassTile* masses,
                   const Output& output) {
  alignas(64) float factor[kWidth];
  for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
    const auto old_max = Simd::load(rows.row_max + lane);
    const auto new_max = Simd::max(old_max, Simd::load(block_max + lane));
    const auto scale = Simd::exp2(old_max - new_max);
    const auto old_sum = Simd::load(rows.row_sum + lane);
    if (masses != nullptr) {
      // sum of p * (s - max) under the new maximum
      const auto entropy = Simd::load(masses->entropy_sum + lane);
      Simd::store(masses->entropy_sum + lane, scale * (entropy + (old_max - new_max) * old_sum));
      Simd::store(masses->epoch_max + masses->num_epochs * kWidth + lane, new_max);
    }
    Simd::store(rows.row_sum + lane, old_sum * scale);
    Simd::store(rows.row_max + lane, new_max);
    Simd::store(factor + lane, scale);
  }
  output.scale(factor);
  if (masses != nullptr) {
    scale_rows<Simd, kWidth>(masses->bins, masses->num_bins, factor);
    ++masses->num_epochs;
  }
}

// The running softmax of some rows of a strand; idle lanes repeat the last row.
template <class Simd>
void load_merged(const MergedRows& merged, const int32_t* index, int32_t num_rows,
                 const RowTile& rows) {
  for (int32_t lane = 0; lane < rows.lanes; ++lane) {
    const int32_t row = index[lane < num_rows ? lane : num_rows - 1];
    rows.row_max[lane] = merged.maximum[row];
    rows.row_sum[lane] = merged.sum[row];
  }
}

template <class Simd>
void store_merged(const MergedRows& merged, const int32_t* index, int32_t num_rows,
                  const RowTile& rows) {
  for (int32_t lane = 0; lane < num_rows; ++lane) {
    merged.maximum[index[lane]] = rows.row_max[lane];
    merged.sum[index[lane]] = rows.row_sum[lane];
  }
}

template <class Simd>
void write_merged(const MergedRows& merged, int32_t head_dim, float* out, int64_t out_stride,
                  const int32_t* tokens, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float inverse = merged.sum[i] > 0 ? 1.0f / merged.sum[i] : 0.0f;
    const float* from = merged.out + i * merged.stride;
    float* to = out + tokens[i] * out_stride;
    for (int32_t d = 0; d < head_dim; ++d) to[d] = from[d] * inverse;
  }
}

// scores = 2^(scores - row_max); row_sum grows by their sum.
template <class Simd, int kWidth>
void exponentiate(int32_t count, const RowTile& rows) {
  using V = typename Simd::V;
  using T = Tiling<Simd, kWidth>;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    V maximum[T::kVecs], sum[T::kVecs] = {};
    for (int v = 0; v < T::kVecs; ++v)
      maximum[v] = Simd::load(rows.row_max + lane + v * Simd::kLanes);
    for (int32_t key = 0; key < count; ++key) {
      float* at = rows.scores + key * kWidth + lane;
#pragma GCC unroll 4
      for (int v = 0; v < T::kVecs; ++v) {
        const V p = Simd::exp2(Simd::load(at + v * Simd::kLanes) - maximum[v]);
        Simd::store(at + v * Simd::kLanes, p);
        sum[v] += p;
      }
    }
    for (int v = 0; v < T::kVecs; ++v) {
      float* at = rows.row_sum + lane + v * Simd::kLanes;
      Simd::store(at, Simd::load(at) + sum[v]);
    }
  }
}

}  // namespace sparsescope::cpu
