// Vectors of 4 lanes on any x86-64: SSE2, no FMA, 16 registers.
#pragma once

#include <emmintrin.h>

#include "kernels/cpu/exp2_body-inl.h"

#if defined(__AVX__)
#error "this body is compiled without -march, for every x86-64"
#endif

namespace sparsescope::cpu {

struct SimdBase {
  using V = __m128;
  static constexpr const char* kName = "base";
  static constexpr int kLanes = 4;
  static constexpr int kMaxVecs = 2;
  static constexpr int kAccumulators = 12;

  static V load(const float* at) { return _mm_load_ps(at); }
  static void store(float* at, V value) { _mm_store_ps(at, value); }
  static V set(float value) { return _mm_set1_ps(value); }
  static V broadcast(const float* at) { return _mm_set1_ps(*at); }
  static V max(V a, V b) { return _mm_max_ps(a, b); }
  // One run of four floats from each place, kLanes / 4 places that many apart.
  static V load_quads(const float* const* at, int64_t offset) {
    return _mm_loadu_ps(at[0] + offset);
  }
  static __m128 quad(V value, int) { return value; }
  // Transposes each 4 x 4 block that the four vectors hold in the same quarter.
  static void transpose_quads(V* x) { _MM_TRANSPOSE4_PS(x[0], x[1], x[2], x[3]); }
  static bool any_greater(V a, V b) { return _mm_movemask_ps(_mm_cmpgt_ps(a, b)) != 0; }

  // As in the AVX2 body.
  static V exp2(V x) {
    const V magic = set(0x1.8p23f);
    const V lowest = set(-126.0f);
    const V clamped = max(x, lowest);
    const V rounded = (clamped - set(0.5f)) + magic;
    const V fraction = clamped - (rounded - magic);
    const __m128i power = _mm_slli_epi32(_mm_castps_si128(rounded), 23);
    const __m128i bits = _mm_castps_si128(exp2_fraction<SimdBase>(fraction));
    return _mm_and_ps(_mm_castsi128_ps(_mm_add_epi32(bits, power)), _mm_cmpgt_ps(x, lowest));
  }
};

}  // namespace sparsescope::cpu
