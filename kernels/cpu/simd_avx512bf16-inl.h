// The AVX-512 vectors with the bf16 dot product: each 32-bit lane of a word vector holds two bf16
// values, and one instruction adds both products to an fp32 lane.
#pragma once

#include "kernels/cpu/simd_avx512-inl.h"

#if !defined(__AVX512BF16__) || !defined(__AVX512BW__)
#error "this body is compiled with -march=x86-64-v4 -mavx512bf16"
#endif

namespace sparsescope::cpu {

// A type of its own, so that no template instance is shared with the plain AVX-512 object.
struct SimdAvx512Bf16 : SimdAvx512 {
  using Words = __m512i;
  static constexpr const char* kName = "avx512bf16";

  // Word arrays are declared as floats, which hold 32 bits each.
  static Words load_words(const float* at) { return _mm512_load_si512(at); }
  static void store_words(float* at, Words value) { _mm512_store_si512(at, value); }
  static Words broadcast_word(const float* at) { return _mm512_castps_si512(broadcast(at)); }
  // sum + a.low * b.low + a.high * b.high
  static V add_products(V sum, Words a, Words b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  // Words of two values rounded to bf16.
  static Words round_pairs(V low, V high) {
    alignas(64) static constexpr uint16_t kInterleave[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const auto halves = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleave), halves);
  }
};

}  // namespace sparsescope::cpu
