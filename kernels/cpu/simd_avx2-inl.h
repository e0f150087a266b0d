// Vectors of 8 lanes with FMA, 16 registers.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/exp2_body-inl.h"

#if !defined(__AVX2__) || !defined(__FMA__) || defined(__AVX512F__)
#error "this body is compiled with -march=x86-64-v3"
#endif

namespace sparsescope::cpu {

struct SimdAvx2 {
  using V = __m256;
  static constexpr const char* kName = "avx2";
  static constexpr int kLanes = 8;
  static constexpr int kMaxVecs = 2;
  static constexpr int kAccumulators = 12;  // of the 16 registers

  static V load(const float* at) { return _mm256_load_ps(at); }
  static void store(float* at, V value) { _mm256_store_ps(at, value); }
  static V set(float value) { return _mm256_set1_ps(value); }
  static V broadcast(const float* at) { return _mm256_broadcast_ss(at); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  // Four floats from each of two places, four entries apart; as in the base body.
  static V load_quads(const float* const* at, int64_t offset) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(at[0] + offset)),
                                _mm_loadu_ps(at[4] + offset), 1);
  }
  static __m128 quad(V value, int i) {
    return i == 0 ? _mm256_castps256_ps128(value) : _mm256_extractf128_ps(value, 1);
  }
  static void transpose_quads(V* x) {
    const V a = _mm256_unpacklo_ps(x[0], x[1]), b = _mm256_unpackhi_ps(x[0], x[1]);
    const V c = _mm256_unpacklo_ps(x[2], x[3]), d = _mm256_unpackhi_ps(x[2], x[3]);
    x[0] = _mm256_shuffle_ps(a, c, 0x44);
    x[1] = _mm256_shuffle_ps(a, c, 0xee);
    x[2] = _mm256_shuffle_ps(b, d, 0x44);
    x[3] = _mm256_shuffle_ps(b, d, 0xee);
  }
  static bool any_greater(V a, V b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
  }

  // x <= 8. Adding 1.5 * 2^23 rounds to a whole number n that stands in the low mantissa bits; n
  // goes into the exponent by an integer addition. 0 below 2^-126 and for -inf.
  static V exp2(V x) {
    const V magic = set(0x1.8p23f);
    const V lowest = set(-126.0f);
    const V clamped = max(x, lowest);
    const V rounded = (clamped - set(0.5f)) + magic;
    const V fraction = clamped - (rounded - magic);
    const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(rounded), 23);
    const __m256i bits = _mm256_castps_si256(exp2_fraction<SimdAvx2>(fraction));
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_add_epi32(bits, power)),
                         _mm256_cmp_ps(x, lowest, _CMP_GT_OQ));
  }
};

}  // namespace sparsescope::cpu
