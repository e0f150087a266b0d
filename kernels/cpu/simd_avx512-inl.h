// Vectors of 16 lanes, 32 registers.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/exp2_body-inl.h"

#if !defined(__AVX512F__) || !defined(__AVX512DQ__)
#error "this body is compiled with -march=x86-64-v4"
#endif

namespace sparsescope::cpu {

struct SimdAvx512 {
  using V = __m512;
  static constexpr const char* kName = "avx512";
  // The unmasked intrinsics start from an undefined vector, which the compiler warns about; a full
  // mask gives the same instructions.
  static constexpr __mmask16 kAll = 0xffff;
  static constexpr int kLanes = 16;
  static constexpr int kMaxVecs = 4;        // vectors of lanes in a register tile
  static constexpr int kAccumulators = 24;  // of the 32 registers

  static V load(const float* at) { return _mm512_load_ps(at); }
  static void store(float* at, V value) { _mm512_store_ps(at, value); }
  static V set(float value) { return _mm512_set1_ps(value); }
  static V broadcast(const float* at) { return _mm512_set1_ps(*at); }
  // The second operand where either is NaN.
  static V max(V a, V b) { return _mm512_maskz_max_ps(kAll, a, b); }
  // Four floats from each of four places, four entries apart; as in the base body.
  static V load_quads(const float* const* at, int64_t offset) {
    V value = _mm512_maskz_broadcast_f32x4(kAll, _mm_loadu_ps(at[0] + offset));
    value = _mm512_maskz_insertf32x4(kAll, value, _mm_loadu_ps(at[4] + offset), 1);
    value = _mm512_maskz_insertf32x4(kAll, value, _mm_loadu_ps(at[8] + offset), 2);
    return _mm512_maskz_insertf32x4(kAll, value, _mm_loadu_ps(at[12] + offset), 3);
  }
  static __m128 quad(V value, int i) {
    constexpr __mmask8 kQuad = 0xf;
    switch (i) {
      case 0:
        return _mm512_maskz_extractf32x4_ps(kQuad, value, 0);
      case 1:
        return _mm512_maskz_extractf32x4_ps(kQuad, value, 1);
      case 2:
        return _mm512_maskz_extractf32x4_ps(kQuad, value, 2);
      default:
        return _mm512_maskz_extractf32x4_ps(kQuad, value, 3);
    }
  }
  static void transpose_quads(V* x) {
    const V a = _mm512_maskz_unpacklo_ps(kAll, x[0], x[1]);
    const V b = _mm512_maskz_unpackhi_ps(kAll, x[0], x[1]);
    const V c = _mm512_maskz_unpacklo_ps(kAll, x[2], x[3]);
    const V d = _mm512_maskz_unpackhi_ps(kAll, x[2], x[3]);
    x[0] = _mm512_maskz_shuffle_ps(kAll, a, c, 0x44);
    x[1] = _mm512_maskz_shuffle_ps(kAll, a, c, 0xee);
    x[2] = _mm512_maskz_shuffle_ps(kAll, b, d, 0x44);
    x[3] = _mm512_maskz_shuffle_ps(kAll, b, d, 0xee);
  }
  static bool any_greater(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }

  // x <= 8. vreduceps leaves x - floor(x), vscalefps takes 2^floor(x) from x itself; 0 for -inf.
  static V exp2(V x) {
    return _mm512_maskz_scalef_ps(
        kAll, exp2_fraction<SimdAvx512>(_mm512_maskz_reduce_ps(kAll, x, 0x09)), x);
  }
};

}  // namespace sparsescope::cpu
