// The twin of the warp-wide matrix instructions, from their definition in the PTX manual: which
// lane holds which element, and fp32 sums.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "emulator/engine.h"

namespace sparsescope::cuda {
namespace twin {

template <typename Elem>
float element(uint32_t pair, int half) {
  const auto bits = static_cast<uint16_t>(pair >> (16 * half));
  return static_cast<float>(std::bit_cast<Elem>(bits));
}

struct LoadMatrices {
  const void* row;      // of 16 bytes: lane 8 m + r gives row r of matrix m
  uint32_t* registers;  // [4], one a matrix
};

// Lane l receives elements 2 (l % 4) and the next of row l / 4; transposed: of column l / 4.
template <bool kTransposed>
void load_matrices(void* const* arguments) {
  for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
    auto* mine = static_cast<LoadMatrices*>(arguments[lane]);
    for (int m = 0; m < 4; ++m) {
      uint32_t pair = 0;
      for (int half = 0; half < 2; ++half) {
        const int i = lane / 4, j = 2 * (lane % 4) + half;
        const int row = kTransposed ? j : i, column = kTransposed ? i : j;
        const auto* source = static_cast<const LoadMatrices*>(arguments[8 * m + row]);
        uint16_t bits;
        std::memcpy(&bits, static_cast<const char*>(source->row) + 2 * column, sizeof bits);
        pair |= static_cast<uint32_t>(bits) << (16 * half);
      }
      mine->registers[m] = pair;
    }
  }
}

struct Product {
  float* d;           // [4]
  const uint32_t* a;  // [4]
  uint32_t b[2];
};

// d [16, 8] += a [16, 16] b [16, 8]
template <typename Elem>
void multiply(void* const* arguments) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
    const auto* from = static_cast<const Product*>(arguments[lane]);
    const int group = lane / 4, pair = 2 * (lane % 4);
    for (int half = 0; half < 2; ++half) {
      for (int r = 0; r < 4; ++r) {
        a[group + 8 * (r % 2)][pair + half + 8 * (r / 2)] = element<Elem>(from->a[r], half);
      }
      for (int r = 0; r < 2; ++r) b[pair + half + 8 * r][group] = element<Elem>(from->b[r], half);
    }
  }
  for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
    auto* to = static_cast<Product*>(arguments[lane]);
    for (int r = 0; r < 4; ++r) {
      const int row = lane / 4 + 8 * (r / 2), column = 2 * (lane % 4) + r % 2;
      float sum = to->d[r];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      to->d[r] = sum;
    }
  }
}

}  // namespace twin

inline void load_matrix_x4(uint32_t (&registers)[4], const void* row) {
  twin::LoadMatrices argument{row, registers};
  emulator::meet_in_warp("ldmatrix", 0xffffffffu, &argument, twin::load_matrices<false>);
}

inline void load_matrix_x4_transposed(uint32_t (&registers)[4], const void* row) {
  twin::LoadMatrices argument{row, registers};
  emulator::meet_in_warp("ldmatrix.trans", 0xffffffffu, &argument, twin::load_matrices<true>);
}

template <typename Elem>
void multiply_16x8x16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  twin::Product argument{d, a, {b0, b1}};
  emulator::meet_in_warp("mma.m16n8k16", 0xffffffffu, &argument, twin::multiply<Elem>);
}

}  // namespace sparsescope::cuda
