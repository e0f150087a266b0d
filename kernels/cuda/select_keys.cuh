// Scores in an order of integers, and a row of them in the registers of a warp: lane l holds
// columns l, l + 32, ..., so that a ballot over the i-th register is word i of a bit row.
#pragma once

#include <cstdint>
#include <type_traits>

namespace sparsescope::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;
inline constexpr uint32_t kNoEntry = 0;  // below the key of any score

// Larger keys for larger scores; no number ranks as -infinity, both zeros are one.
__device__ inline uint32_t key_of(float score) {
  const float ranked = score != score ? -INFINITY : score + 0.0f;
  const uint32_t bits = __float_as_uint(ranked);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ inline float score_of(uint32_t key) {
  return __uint_as_float((key >> 31) != 0 ? key & 0x7fffffffu : ~key);
}

template <typename T>
inline constexpr bool kReducedAtOnce = std::is_same_v<T, int32_t> || std::is_same_v<T, uint32_t>;

template <typename T>
__device__ inline T warp_sum(T value) {
  if constexpr (kReducedAtOnce<T>) {
    return __reduce_add_sync(kAllLanes, value);
  } else {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) {
      value += __shfl_xor_sync(kAllLanes, value, offset);
    }
    return value;
  }
}
__device__ inline uint32_t warp_max(uint32_t value) { return __reduce_max_sync(kAllLanes, value); }

// The lowest count bits that are set.
__device__ inline uint32_t first_bits(uint32_t bits, int64_t count) {
  if (count >= __popc(bits)) return bits;
  uint32_t kept = 0;
  for (; count > 0; --count) {
    const uint32_t lowest = bits & (0u - bits);
    kept |= lowest;
    bits ^= lowest;
  }
  return kept;
}

// The last entry that a row keeps: larger keys are kept, and so many of the equal ones, lowest
// columns first.
struct RowCut {
  uint32_t key = 0xffffffffu;
  int64_t ties = 0;
};

template <int kPerLane>
struct WarpRow {
  uint32_t key[kPerLane];

  // Columns from num_columns on hold kNoEntry.
  __device__ void load(const float* scores, int32_t num_columns, int lane) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int32_t column = 32 * i + lane;
      key[i] = column < num_columns ? key_of(scores[column]) : kNoEntry;
    }
  }

  // Sum of weight_of(key) over the entries at or above the bound.
  template <typename Sum, typename WeightOf>
  __device__ Sum sum_from(uint32_t bound, const WeightOf& weight_of) const {
    Sum sum = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (key[i] >= bound) sum += weight_of(key[i]);
    }
    return warp_sum(sum);
  }

  // The best entries whose weights reach target, which is above 0 and in reach of all of them.
  // Weights do not fall with the key. Every step decides a bit of the last entry's key.
  template <typename Sum, typename WeightOf>
  __device__ RowCut cut_at(Sum target, const WeightOf& weight_of) const {
    uint32_t least = 0xffffffffu, largest = kNoEntry;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (key[i] == kNoEntry) continue;
      least = min(least, key[i]);
      largest = max(largest, key[i]);
    }
    largest = warp_max(largest);
    least = ~warp_max(~least);
    // The bits above the highest one that differs are those of all entries.
    const int bits = 32 - __clz(static_cast<int>(least ^ largest));
    uint32_t reached = bits == 32 ? 0 : least >> bits << bits;
    for (int bit = bits - 1; bit >= 0; --bit) {
      const uint32_t bound = reached | 1u << bit;
      const Sum sum = sum_from<Sum>(bound, weight_of);
      if (sum < target) continue;
      reached = bound;
      // What lies between here and the last entry changes nothing, but for entries that weigh
      // nothing.
      if (sum == target && weight_of(bound) > 0) return {bound - 1, 0};
    }
    const Sum above = reached == 0xffffffffu ? 0 : sum_from<Sum>(reached + 1, weight_of);
    const int64_t weight = weight_of(reached);
    return {reached, (static_cast<int64_t>(target - above) + weight - 1) / weight};
  }

  __device__ RowCut best(int32_t count) const {
    if (count == 0) return {};
    return cut_at<int32_t>(count, [](uint32_t) { return 1; });
  }

  // word_done(i, bits) in every lane, ascending.
  template <typename WordDone>
  __device__ void select(RowCut cut, int32_t num_words, const WordDone& word_done) const {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (i >= num_words) break;
      uint32_t bits = __ballot_sync(kAllLanes, key[i] > cut.key);
      if (cut.ties > 0) {
        const uint32_t equal = first_bits(__ballot_sync(kAllLanes, key[i] == cut.key), cut.ties);
        cut.ties -= __popc(equal);
        bits |= equal;
      }
      word_done(i, bits);
    }
  }
};

}  // namespace sparsescope::cuda
