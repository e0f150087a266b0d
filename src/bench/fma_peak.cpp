#include "bench/fma_peak.h"

#include <immintrin.h>

#include <algorithm>

#include "bench/timing.h"

namespace sparsescope {
namespace {

constexpr int kAccumulators = 10;  // hides a latency of 5 on two pipes
constexpr int kIterations = 4'000'000;
constexpr int kRepeats = 5;

// The accumulators converge to 2 without subnormals: a * 0.5 + 1.
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

// Sums of 2 * kIterations products of 1.
__attribute__((target("avx512f,avx512bf16"))) float run_bf16() {
  __m512 acc[kAccumulators];
  for (auto& a : acc) a = _mm512_set1_ps(0.0f);
  const auto ones = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
  for (int i = 0; i < kIterations; ++i) {
#pragma GCC unroll 10
    for (auto& a : acc) a = _mm512_dpbf16_ps(a, ones, ones);
  }
  float sum = 0;
  for (const auto& a : acc) sum += _mm512_cvtss_f32(a);
  return sum;
}

double best_gflops(float (*run)(), int flops_an_instruction) {
  double best = 0;
  volatile float keep = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const double start = now_seconds(TimeSource::kProcessor);
    keep = keep + run();
    const double seconds = now_seconds(TimeSource::kProcessor) - start;
    const double instructions = static_cast<double>(kAccumulators) * kIterations;
    best = std::max(best, flops_an_instruction * instructions / seconds * 1e-9);
  }
  return best;
}

}  // namespace

double measure_fma_peak_gflops() {
  if (__builtin_cpu_supports("avx512f")) return best_gflops(run_avx512, 2 * 16);
  return __builtin_cpu_supports("fma") ? best_gflops(run_avx2, 2 * 8) : 0;
}

double measure_bf16_peak_gflops() {
  return __builtin_cpu_supports("avx512bf16") ? best_gflops(run_bf16, 2 * 32) : 0;
}

}  // namespace sparsescope
