#include "tests/bench/fma_peak.h"

#include <immintrin.h>

#include <algorithm>
#include <ctime>

namespace sparsescope {
namespace {

constexpr int kAccumulators = 10;  // hides a latency of 5 on two pipes
constexpr int kIterations = 4'000'000;

// The accumulators converge to 0 without subnormals: a * 0.5 + 1 stays near 2.
__attribute__((target("avx512f"))) float run_avx512() {
  __m512 acc[kAccumulators];
  for (auto& a : acc) a = _mm512_set1_ps(1.0f);
  const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1.0f);
  for (int i = 0; i < kIterations; ++i) {
#pragma GCC unroll 10
    for (auto& a : acc) a = _mm512_fmadd_ps(a, half, one);
  }
  float sum = 0;
  for (const auto& a : acc) sum += _mm512_cvtss_f32(a);
  return sum;
}

__attribute__((target("avx2,fma"))) float run_avx2() {
  __m256 acc[kAccumulators];
  for (auto& a : acc) a = _mm256_set1_ps(1.0f);
  const __m256 half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f);
  for (int i = 0; i < kIterations; ++i) {
#pragma GCC unroll 10
    for (auto& a : acc) a = _mm256_fmadd_ps(a, half, one);
  }
  float sum = 0;
  for (const auto& a : acc) sum += _mm256_cvtss_f32(a);
  return sum;
}

}  // namespace

double measure_fma_peak_gflops() {
  const bool wide = __builtin_cpu_supports("avx512f");
  if (!wide && !__builtin_cpu_supports("fma")) return 0;
  double best = 0;
  volatile float keep = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const std::clock_t start = std::clock();  // processor time: the machine may be busy
    keep = keep + (wide ? run_avx512() : run_avx2());
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    const double flops = 2.0 * (wide ? 16 : 8) * kAccumulators * static_cast<double>(kIterations);
    best = std::max(best, flops / seconds * 1e-9);
  }
  return best;
}

}  // namespace sparsescope
