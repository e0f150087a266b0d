// Products of a warp: 16 rows of the result, factors in swizzled tiles of shared memory
// (shared_tile.cuh) or in the fragments that another product left.
#pragma once

#include <cstdint>

#include "arch/matrix.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/shared_tile.cuh"

namespace sparsescope::cuda {

template <int kOctets>
__device__ inline void clear_fragment(float (&c)[kOctets][4]) {
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
    for (int j = 0; j < 4; ++j) c[octet][j] = 0.0f;
  }
}

// c [16, 8 kOctets] = A B^T: rows a_row.. of tile a, rows b_row.. of tile b, over the head dim.
template <int kHeadDim, int kOctets, typename Elem>
__device__ inline void multiply_tiles(float (&c)[kOctets][4], const Elem* a, int a_row,
                                      const Elem* b, int b_row, int lane) {
  clear_fragment(c);
  const int a_at = chunk_offset<kHeadDim>(a_row + lane % 8 + 8 * (lane / 8 % 2), lane / 16);
  const int b_at = chunk_offset<kHeadDim>(b_row + lane % 8 + 8 * (lane / 16), lane / 8 % 2);
#pragma unroll
  for (int step = 0; step < kHeadDim / 16; ++step) {
    uint32_t left[4];
    load_matrix_x4(left, a + step_chunks(a_at, 2 * step));
#pragma unroll
    for (int pair = 0; pair < kOctets / 2; ++pair) {
      uint32_t right[4];
      load_matrix_x4(right, b + 16 * pair * kHeadDim + step_chunks(b_at, 2 * step));
      multiply_16x8x16<Elem>(c[2 * pair], left, right[0], right[1]);
      multiply_16x8x16<Elem>(c[2 * pair + 1], left, right[2], right[3]);
    }
  }
}

// c [16, kHeadDim] += P B: P [16, 8 kOctets] rounded to the element type, rows b_row.. of tile b.
template <typename Elem, int kHeadDim, int kOctets>
__device__ inline void add_weighted_rows(float (&c)[kHeadDim / 8][4], const float (&p)[kOctets][4],
                                         const Elem* b, int b_row, int lane) {
  const int at = chunk_offset<kHeadDim>(b_row + lane % 16, lane / 16);
#pragma unroll
  for (int step = 0; step < kOctets / 2; ++step) {
    const float(&low)[4] = p[2 * step];
    const float(&high)[4] = p[2 * step + 1];
    const uint32_t left[4] = {pack_pair<Elem>(low[0], low[1]), pack_pair<Elem>(low[2], low[3]),
                              pack_pair<Elem>(high[0], high[1]), pack_pair<Elem>(high[2], high[3])};
#pragma unroll
    for (int pair = 0; pair < kHeadDim / 16; ++pair) {
      uint32_t right[4];
      load_matrix_x4_transposed(right, b + 16 * step * kHeadDim + step_chunks(at, 2 * pair));
      multiply_16x8x16<Elem>(c[2 * pair], left, right[0], right[1]);
      multiply_16x8x16<Elem>(c[2 * pair + 1], left, right[2], right[3]);
    }
  }
}

}  // namespace sparsescope::cuda
