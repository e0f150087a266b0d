// Vectors of the instruction set that this file is compiled for. Included by one source per
// instruction set: everything has internal linkage, so that no object hands code to another.
#pragma once

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>

namespace sparsescope {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

constexpr int kLanes = 64;                      // columns of a block
constexpr int kWidth = kVectorBytes / 4;        // fp32 lanes of a vector
constexpr int kVectors = kLanes / kWidth;       // vectors of a block's row
constexpr int kDoubleWidth = kVectorBytes / 8;  // fp64 lanes of a vector

typedef float Vec __attribute__((vector_size(kVectorBytes)));
typedef int32_t IntVec __attribute__((vector_size(kVectorBytes)));
typedef double DoubleVec __attribute__((vector_size(kVectorBytes)));
typedef float HalfVecAt __attribute__((vector_size(kVectorBytes / 2), aligned(4), may_alias));
typedef int32_t HalfIntVec __attribute__((vector_size(kVectorBytes / 2)));
typedef int32_t HalfIntVecAt __attribute__((vector_size(kVectorBytes / 2), aligned(4), may_alias));
typedef uint8_t ByteVec __attribute__((vector_size(kVectorBytes / 4)));
typedef uint8_t ByteVecAt __attribute__((vector_size(kVectorBytes / 4), aligned(1), may_alias));
typedef int64_t LongVec __attribute__((vector_size(kVectorBytes)));
typedef int64_t LongVecAt __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
// The same in memory, without alignment.
typedef float VecAt __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
typedef int32_t IntVecAt __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
typedef double DoubleVecAt __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));

inline Vec load(const float* at) { return *reinterpret_cast<const VecAt*>(at); }
inline void store(float* at, Vec value) { *reinterpret_cast<VecAt*>(at) = value; }
inline IntVec load(const int32_t* at) { return *reinterpret_cast<const IntVecAt*>(at); }
inline void store(int32_t* at, IntVec value) { *reinterpret_cast<IntVecAt*>(at) = value; }
inline DoubleVec load(const double* at) { return *reinterpret_cast<const DoubleVecAt*>(at); }
inline void store(double* at, DoubleVec value) { *reinterpret_cast<DoubleVecAt*>(at) = value; }

inline LongVec load(const int64_t* at) { return *reinterpret_cast<const LongVecAt*>(at); }
inline void store(int64_t* at, LongVec value) { *reinterpret_cast<LongVecAt*>(at) = value; }

#if defined(__AVX512F__)
// The compiler would convert the halves one by one.
inline DoubleVec load_as_double(const float* at) {
  return (DoubleVec)_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(at));
}
#else
inline DoubleVec load_as_double(const float* at) {
  return __builtin_convertvector(*reinterpret_cast<const HalfVecAt*>(at), DoubleVec);
}
#endif

inline Vec broadcast(float value) { return Vec{} + value; }

// One instruction each; the compiler makes a comparison and a choice of the plain form. The second
// operand where either is NaN.
#if defined(__AVX512F__)
inline Vec larger(Vec a, Vec b) { return (Vec)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
inline Vec smaller(Vec a, Vec b) { return (Vec)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
inline DoubleVec larger(DoubleVec a, DoubleVec b) {
  return (DoubleVec)_mm512_maskz_max_pd(0xff, (__m512d)a, (__m512d)b);
}
inline DoubleVec smaller(DoubleVec a, DoubleVec b) {
  return (DoubleVec)_mm512_maskz_min_pd(0xff, (__m512d)a, (__m512d)b);
}
#elif defined(__AVX2__)
inline Vec larger(Vec a, Vec b) { return (Vec)_mm256_max_ps((__m256)a, (__m256)b); }
inline Vec smaller(Vec a, Vec b) { return (Vec)_mm256_min_ps((__m256)a, (__m256)b); }
inline DoubleVec larger(DoubleVec a, DoubleVec b) {
  return (DoubleVec)_mm256_max_pd((__m256d)a, (__m256d)b);
}
inline DoubleVec smaller(DoubleVec a, DoubleVec b) {
  return (DoubleVec)_mm256_min_pd((__m256d)a, (__m256d)b);
}
#else
template <typename V>
inline V larger(V a, V b) {
  return a > b ? a : b;
}
template <typename V>
inline V smaller(V a, V b) {
  return a < b ? a : b;
}
#endif

// Writes the lanes with keep (all ones or zero) one behind the other, and maybe more behind them;
// returns their number.
inline int append(float* at, Vec value, IntVec keep) {
#if defined(__AVX512F__)
  const __mmask16 mask = _mm512_movepi32_mask((__m512i)keep);
  store(at, (Vec)_mm512_maskz_compress_ps(mask, (__m512)value));
  return __builtin_popcount(mask);
#else
  int count = 0;
  for (int lane = 0; lane < kWidth; ++lane) {
    at[count] = value[lane];
    count += keep[lane] & 1;
  }
  return count;
#endif
}

// A pairwise tree of four partial sums: its error does not grow with the width.
inline float sum_of_lanes(Vec value) {
  float lanes[kWidth];
  store(lanes, value);
  float part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = 0; i < kWidth; i += 4) {
    for (int j = 0; j < 4; ++j) part[j] += lanes[i + j];
  }
  return (part[0] + part[1]) + (part[2] + part[3]);
}

}  // namespace
}  // namespace sparsescope
