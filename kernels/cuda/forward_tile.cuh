// What one warp does with one block of keys: 16 query rows against 64 keys. The sm80 forward
// kernels, dense and sparse, are loops around these steps.
//
//   S = Q K^T [16, 64],  P = exp2(S * scale - max),  O += P V [16, D]
//
// Fragments: of rows 0..15 a thread holds row lane / 4 (index 0) and lane / 4 + 8 (index 1).
#pragma once

#include <cmath>
#include <cstdint>

#include "arch/matrix.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/row_softmax.cuh"
#include "kernels/cuda/shared_tile.cuh"
#include "kernels/cuda/warp_products.cuh"

namespace sparsescope::cuda {

inline constexpr int kKeys = 64;           // of a key block
inline constexpr int kOctets = kKeys / 8;  // fragments of 8 keys
inline constexpr int kWarpRows = 16;
inline constexpr uint64_t kAllValid = ~uint64_t{0};

template <typename Elem, int kHeadDim>
struct WarpRows {
  static constexpr int kSteps = kHeadDim / 16;  // of a product along D
  static constexpr int kOutOctets = kHeadDim / 8;

  uint32_t query[kSteps][4];  // Q as the left factor
  float out[kOutOctets][4];   // O, relative to the running maxima
  RowSoftmax softmax[2];

  // queries: the warp's 16 rows of a shared tile start at first_row.
  __device__ void load_queries(const Elem* tile, int first_row, int lane) {
    const int at = chunk_offset<kHeadDim>(first_row + lane % 8 + 8 * (lane / 8 % 2), lane / 16);
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      load_matrix_x4(query[step], tile + step_chunks(at, 2 * step));
    }
  }

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < kOutOctets; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) out[i][j] = 0.0f;
    }
    softmax[0] = softmax[1] = RowSoftmax{};
  }

  // Scores of all keys of the tile, without the scale; -infinity where the bit of a key is not set.
  __device__ void scores(const Elem* keys, uint64_t valid, int lane, float (&s)[kOctets][4]) const {
    const int at = chunk_offset<kHeadDim>(lane % 8 + 8 * (lane / 16), lane / 8 % 2);
#pragma unroll
    for (int pair = 0; pair < kOctets / 2; ++pair) {
      float(&first)[4] = s[2 * pair];
      float(&second)[4] = s[2 * pair + 1];
#pragma unroll
      for (int j = 0; j < 4; ++j) first[j] = second[j] = 0.0f;
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        uint32_t b[4];
        load_matrix_x4(b, keys + 16 * pair * kHeadDim + step_chunks(at, 2 * step));
        multiply_16x8x16<Elem>(first, query[step], b[0], b[1]);
        multiply_16x8x16<Elem>(second, query[step], b[2], b[3]);
      }
    }
    if (valid != kAllValid) mask(valid, lane, s);
  }

  // Turns scores into probabilities relative to the running maxima, and rescales the output. scale
  // is the softmax scale times log2(e). factor: what was summed before is to be multiplied with it,
  // by row. observe(r, p, exponent) sees every p = exp2(exponent).
  template <typename Observe>
  __device__ void probabilities(float (&s)[kOctets][4], float scale, float (&factor)[2],
                                const Observe& observe) {
    exponentiate(s, scale, factor, observe);
    rescale(factor);
  }

  // The same without the output, which the factors are still to be applied to.
  template <typename Observe>
  __device__ void exponentiate(float (&s)[kOctets][4], float scale, float (&factor)[2],
                               const Observe& observe) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = s[0][2 * r];
#pragma unroll
      for (int octet = 0; octet < kOctets; ++octet) {
        largest = fmaxf(largest, fmaxf(s[octet][2 * r], s[octet][2 * r + 1]));
      }
      factor[r] = softmax[r].raise(quad_max(largest) * scale);
      const float shift = softmax[r].shift();
      float sum[2] = {};  // of the even and the odd columns
#pragma unroll
      for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& value = s[octet][2 * r + j];
          const float exponent = fmaf(value, scale, -shift);
          value = exp2_fast(exponent);
          sum[j] += value;
          observe(r, value, exponent);
        }
      }
      softmax[r].sum += sum[0] + sum[1];
    }
  }

  __device__ void rescale(const float (&factor)[2]) {
    if (__any_sync(0xffffffffu, factor[0] != 1.0f || factor[1] != 1.0f)) multiply_outputs(factor);
  }

  __device__ void multiply_outputs(const float (&factor)[2]) {
#pragma unroll
    for (int i = 0; i < kOutOctets; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) out[i][j] *= factor[j / 2];
    }
  }

  // O += P V
  __device__ void add_values(const float (&p)[kOctets][4], const Elem* values, int lane) {
    add_weighted_rows<Elem, kHeadDim>(out, p, values, 0, lane);
  }

  // Adds up the sums of the threads of a row; call once, after the last key block. Returns the
  // factors that turn out into the mean of values: 0 for a row without keys.
  __device__ void finish(float (&inverse_sum)[2]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      softmax[r].sum = quad_sum(softmax[r].sum);
      inverse_sum[r] = softmax[r].sum > 0.0f ? 1.0f / softmax[r].sum : 0.0f;
    }
  }

  // ln sum exp of row r, -infinity for a row without keys. After finish.
  __device__ float log_sum(int r) const {
    constexpr float kLn2 = 0.693147180559945309f;
    return softmax[r].sum > 0.0f ? (softmax[r].max + log2f(softmax[r].sum)) * kLn2 : -INFINITY;
  }

  // -infinity where the bit of a key is not set.
  __device__ static void mask(uint64_t valid, int lane, float (&s)[kOctets][4]) {
    const uint64_t mine = valid >> (2 * (lane % 4));
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if ((mine >> (8 * octet + j % 2) & 1) == 0) {
          s[octet][j] = -INFINITY;
        }
      }
    }
  }
};

}  // namespace sparsescope::cuda
