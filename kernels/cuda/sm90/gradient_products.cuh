// The products of the backward pass, of a warp group with 64 keys against 64 rows: transposed, keys
// by rows, so that P^T and dS^T come out as left factors of the next in the registers where they
// are. Only dQ takes dS the other way round, from shared memory.
#pragma once

#include <cstdint>

#include "arch/block.cuh"
#include "arch/math.cuh"
#include "arch/reduction.cuh"
#include "kernels/cuda/fragment_rows.cuh"
#include "kernels/cuda/row_terms.h"
#include "kernels/cuda/sm90/group_products.cuh"
#include "kernels/cuda/sm90/row_tiles.cuh"

namespace sparsescope::cuda::sm90 {

// S^T = K Q^T, dP^T = V dO^T: [64 keys, 64 rows], both tiles with rows along D.
template <typename Elem, int kHeadDim>
__device__ void start_transposed_scores(float (&s)[kOctets][4], uint32_t keys, uint32_t rows) {
  const uint64_t left = keys_descriptor(keys), right = keys_descriptor(rows);
#pragma unroll
  for (int step = 0; step < kHeadDim / 16; ++step) {
    start_product_shared<Elem, Major::kDepth, Major::kDepth>(
        s, left + keys_step<kTileRows>(step), right + keys_step<kTileRows>(step), step > 0);
  }
  end_products();
}

// A strip of dQ = dS K, [64 rows, 64 of D]: all of them at once would take more registers than
// there are. dS^T lies as a tile [64 keys, 64 rows]: to dS its rows run along the depth, as those
// of K do.
template <typename Elem>
__device__ void start_query_gradients(float (&dq)[kStripColumns / 8][4], uint32_t ds,
                                      uint32_t keys_of_strip) {
  const uint64_t left = values_descriptor<kTileRows>(ds);
  const uint64_t right = values_descriptor<kKeys>(keys_of_strip);
#pragma unroll
  for (int step = 0; step < kKeys / 16; ++step) {
    start_product_shared<Elem, Major::kColumn, Major::kColumn>(dq, left + values_step(step),
                                                               right + values_step(step), step > 0);
  }
  end_products();
}

// P^T from S^T. terms: of the tile's rows, which are the fragment's columns.
__device__ inline void to_probabilities(float (&s)[kOctets][4], float scale_log2,
                                        const RowTerms* terms, int lane) {
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
    const float4 pair = *reinterpret_cast<const float4*>(terms + 8 * octet + 2 * (lane % 4));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      s[octet][j] = exp2_fast(fmaf(s[octet][j], scale_log2, j % 2 == 0 ? -pair.x : -pair.z));
    }
  }
}

// dS^T from dP^T.
__device__ inline void to_score_gradients(float (&dp)[kOctets][4], const float (&p)[kOctets][4],
                                          const RowTerms* terms, int lane) {
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
    const float4 pair = *reinterpret_cast<const float4*>(terms + 8 * octet + 2 * (lane % 4));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      dp[octet][j] = p[octet][j] * (dp[octet][j] - (j % 2 == 0 ? pair.y : pair.w));
    }
  }
}

// Zeros for the keys that are not there. Their gradients are nobody's, but dQ would take infinite
// P times the zeros of their K.
__device__ inline void clear_keys_from(int num_keys, float (&p)[kOctets][4], int warp, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    if (kWarpRows * warp + lane / 4 + 8 * r < num_keys) continue;
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) p[octet][2 * r] = p[octet][2 * r + 1] = 0.0f;
  }
}

// Writes dS^T as a tile, a key 128 bytes, without bank conflicts: the eight keys of a store have
// their chunks in different banks. Followed by fence_async_proxy and a barrier of the group.
__device__ inline void store_score_gradients(unsigned char* tile, const Probabilities& ds, int warp,
                                             int lane) {
  static_assert(kWarpRows % kSwizzleRows == 0);
  const int key = lane / 4;  // of each eight
  const int at = (kWarpRows * warp + key) * kStripRowBytes + key * 16 + lane % 4 * 4;
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // Not memcpy, which knows of no alignment and stores bytes.
      *reinterpret_cast<uint32_t*>(tile + (at ^ octet * 16) + r * kSwizzleBytes) =
          ds[octet / 2][octet % 2 * 2 + r];
    }
  }
}

// Adds scale dq to one row of the fragment's (0 or 1 of the thread's two) in global memory: to its
// num_columns columns, a multiple of four; aligned to 16 bytes, null for none. By the whole warp:
// neighbouring lanes exchange pairs, so that each has four columns of an octet and a row's 64 bytes
// go out together.
template <int kOctetsOfRow>
__device__ void add_row(const float (&dq)[kOctetsOfRow][4], int r, float scale, float* row,
                        int32_t num_columns, int lane) {
  const bool odd = lane % 2 != 0;
  const int first_column = (odd ? 8 : 0) + lane % 4 / 2 * 4;
#pragma unroll
  for (int octet = 0; octet < kOctetsOfRow; octet += 2) {
    const float(&low)[4] = dq[octet];
    const float(&high)[4] = dq[octet + 1];
    const float2 kept = {scale * (odd ? high[2 * r] : low[2 * r]),
                         scale * (odd ? high[2 * r + 1] : low[2 * r + 1])};
    const float2 given = {scale * (odd ? low[2 * r] : high[2 * r]),
                          scale * (odd ? low[2 * r + 1] : high[2 * r + 1])};
    const float2 taken = {__shfl_xor_sync(0xffffffffu, given.x, 1),
                          __shfl_xor_sync(0xffffffffu, given.y, 1)};
    const float2 first = odd ? taken : kept, second = odd ? kept : taken;
    const int column = 8 * octet + first_column;
    if (row != nullptr && column < num_columns) {
      add_to_global(row + column, float4{first.x, first.y, second.x, second.y});
    }
  }
}

}  // namespace sparsescope::cuda::sm90
