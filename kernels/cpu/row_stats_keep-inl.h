// Which entries a selection keeps: weights summed down a column, the digits of a radix search, and
// comparisons with a cut as bits.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/row_stats_vector-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

typedef float HalfVec __attribute__((vector_size(kVectorBytes / 2)));
typedef uint32_t UintVec __attribute__((vector_size(kVectorBytes)));

inline HalfVec load_half(const float* at) { return *reinterpret_cast<const HalfVecAt*>(at); }

// One bit for each lane of a comparison.
inline uint32_t bits_of(IntVec mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(mask));
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask)));
#else
  return static_cast<uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(mask)));
#endif
}

// Weights of kDoubleWidth lanes.
struct LaneSteps {
  HalfVec lo, scale;

  LongVec weight(const float* gate) const {
    const HalfIntVec steps = __builtin_convertvector((load_half(gate) - lo) * scale, HalfIntVec);
    return __builtin_convertvector(steps, LongVec);
  }
};

void weight_sums(const float* gate, int64_t rows, const float* lo, const float* scale,
                 int64_t* sums) {
  for (int v = 0; v < kLanes; v += kDoubleWidth) {
    const LaneSteps steps{load_half(lo + v), load_half(scale + v)};
    LongVec sum{};
    for (int64_t r = 0; r < rows; ++r) sum += steps.weight(gate + r * kLanes + v);
    store(sums + v, sum);
  }
}

void reach_counts(const float* gate, int64_t rows, const float* lo, const float* scale,
                  const int64_t* target, int64_t* counts) {
  for (int v = 0; v < kLanes; v += kDoubleWidth) {
    const LaneSteps steps{load_half(lo + v), load_half(scale + v)};
    const LongVec limit = load(target + v);
    LongVec before{}, count{};
    for (int64_t r = 0; r < rows; ++r) {
      count -= before < limit;
      before += steps.weight(gate + r * kLanes + v);
    }
    store(counts + v, count);
  }
}

void compare_bits(const float* gate, int64_t rows, const float* cut, uint64_t* above,
                  uint64_t* equal) {
  Vec limit[kVectors];
  for (int v = 0; v < kVectors; ++v) limit[v] = load(cut + v * kWidth);
  for (int64_t r = 0; r < rows; ++r) {
    uint64_t above_bits = 0, equal_bits = 0;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const Vec value = load(gate + r * kLanes + v * kWidth);
      above_bits |= uint64_t{bits_of(value > limit[v])} << (v * kWidth);
      equal_bits |= uint64_t{bits_of(value == limit[v])} << (v * kWidth);
    }
    above[r] = above_bits;
    equal[r] = equal_bits;
  }
}

// Floats as integers of the same order; the sum turns a negative zero into the positive one.
inline UintVec ordered_bits(Vec value) {
  const Vec unsigned_zero = value + 0.0f;
  const auto bits = reinterpret_cast<IntVec>(unsigned_zero);
  return reinterpret_cast<UintVec>(bits ^ ((bits >> 31) | INT32_MIN));
}

void digit_sums(const float* gate, int64_t count, const GateDigit& digit, int64_t* sums) {
  const int above = digit.shift + digit.bits;  // where the digits of the prefix begin
  const uint32_t mask = (1U << digit.bits) - 1;
  for (int64_t first = 0; first < count; first += kLanes) {
    uint32_t place[kLanes];
    int32_t weight[kLanes];
    uint64_t matches = 0;
    for (int v = 0; v < kLanes; v += kWidth) {
      const Vec value = load(gate + first + v);
      const UintVec key = ordered_bits(value);
      const UintVec at = (key >> digit.shift) & mask;
      store(reinterpret_cast<int32_t*>(place) + v, reinterpret_cast<IntVec>(at));
      const Vec steps = (value - digit.lo) * digit.scale;
      store(weight + v, __builtin_convertvector(steps, IntVec) + digit.least);
      if (above < 32) matches |= uint64_t{bits_of((key >> above) == digit.prefix)} << v;
    }
    if (above == 32) {
      // Two tables by turns: neighbours often have the same digit, and an addition would wait for
      // the one before.
      for (int lane = 0; lane < kLanes; lane += 2) {
        sums[place[lane]] += weight[lane];
        sums[kDigitPlaces + place[lane + 1]] += weight[lane + 1];
      }
    }
    for (; matches != 0; matches &= matches - 1) {
      const int lane = __builtin_ctzll(matches);
      sums[place[lane]] += weight[lane];
    }
  }
}

}  // namespace
}  // namespace sparsescope
