// The sm80 kernel of dk and dv: a thread block has 64 keys of a range, 16 a warp, and walks through
// the rows of the items that list the range, 64 at a time, filled across the items' borders. The
// products are transposed, keys by rows, so that P^T and dS^T come out as left factors of the next.
//
//   S^T = K Q^T,  dP^T = V dO^T,  dS = P * (dP - delta),  dV += P^T dO,  dK += scale dS^T Q
//
// While a tile of rows is worked on, the next one's q and terms are copied and the tokens of the
// one after that are looked up.
#pragma once

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/math.cuh"
#include "kernels/cuda/fragment_rows.cuh"
#include "kernels/cuda/segment_cursor.cuh"
#include "kernels/cuda/shared_tile.cuh"
#include "kernels/cuda/sparse_backward.h"
#include "kernels/cuda/tile_positions.cuh"
#include "kernels/cuda/warp_products.cuh"

namespace sparsescope::cuda {

inline constexpr int kGradientKeys = 64;  // of a thread block
inline constexpr int kGradientThreads = 128;
inline constexpr int kGradientRows = TilePositions::kRows;

template <typename Elem, int kHeadDim>
struct BackwardKeysShared {
  Elem keys[kGradientKeys * kHeadDim];
  Elem values[kGradientKeys * kHeadDim];
  Elem queries[2][kGradientRows * kHeadDim];
  Elem d_out[kGradientRows * kHeadDim];
  alignas(16) RowTerms terms[2][kGradientRows];
  TilePositions tokens;
  // What the block works on: registers are short, and all threads need it.
  RangeBlock block;
  const int32_t* items;
  int32_t num_items, head;
  const Elem *q_of_head, *d_out_of_head;
  const RowTerms* terms_of_head;
};

// P^T and dS^T of 16 keys and the rows of the fragment's columns, whose terms begin at `terms`. A
// column without a row has q, d_out and terms 0, and adds nothing.
template <int kOctets>
__device__ inline void differentiate_transposed(float (&s)[kOctets][4], float (&dp)[kOctets][4],
                                                float scale_log2, const RowTerms* terms, int lane) {
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
    const float4 pair = *reinterpret_cast<const float4*>(terms + 8 * octet + 2 * (lane % 4));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float lse = j % 2 == 0 ? pair.x : pair.z, delta = j % 2 == 0 ? pair.y : pair.w;
      s[octet][j] = exp2_fast(fmaf(s[octet][j], scale_log2, -lse));
      dp[octet][j] = s[octet][j] * (dp[octet][j] - delta);
    }
  }
}

// Starts to copy rows of a tile.
template <int kHeadDim, typename Elem>
__device__ inline void copy_gradient_rows(Elem* tile, const Elem* of_head, int64_t stride_row,
                                          const int32_t* tokens, int thread) {
  copy_rows_async<kHeadDim, kGradientRows, kGradientThreads>(tile, thread, [&](int row, int) {
    return tokens[row] < 0 ? nullptr : of_head + tokens[row] * stride_row;
  });
}

// Of tile j; a group of copies.
template <int kHeadDim, typename Elem>
__device__ inline void copy_queries_and_terms(BackwardKeysShared<Elem, kHeadDim>& shared,
                                              int64_t stride_row, int32_t j, int thread) {
  const int32_t* tokens = shared.tokens.of(j);
  copy_gradient_rows<kHeadDim>(shared.queries[j % 2], shared.q_of_head, stride_row, tokens, thread);
  if (thread < kGradientRows) {
    const int32_t token = tokens[thread];
    copy_async_8(&shared.terms[j % 2][thread], shared.terms_of_head + token, token >= 0);
  }
  commit_copies();
}

template <typename Elem, int kHeadDim>
__device__ inline void begin_range_block(BackwardKeysShared<Elem, kHeadDim>& shared,
                                         const SparseBackward<Elem>& call, int thread) {
  // Heads first: the longest lists are those of the first blocks.
  const auto number = static_cast<int32_t>(blockIdx.x) / call.num_heads;
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.x) % call.num_heads;
  const RangeBlock block = call.blocks[number];
  if (thread == 0) {
    shared.block = block;
    shared.head = head;
    shared.items = call.range_items.of(head, block.range, shared.num_items);
    shared.q_of_head = call.q.head(head);
    shared.d_out_of_head = call.d_out.head(head);
    shared.terms_of_head = call.terms_of(head);
  }
  const auto copy_keys = [&](Elem* tile, const Elem* of_head) {
    copy_rows_async<kHeadDim, kGradientKeys, kGradientThreads>(tile, thread, [&](int row, int) {
      return row < block.count ? of_head + int64_t{block.first + row} * kHeadDim : nullptr;
    });
  };
  copy_keys(shared.keys, call.k.head(head));
  copy_keys(shared.values, call.v.head(head));
  __syncthreads();
}

// grid: range blocks by heads
template <typename Elem, int kHeadDim>
__global__ void __launch_bounds__(kGradientThreads, kHeadDim == 64 ? 3 : 2)
    sparse_backward_keys_kernel(const __grid_constant__ SparseBackward<Elem> call) {
  auto& shared = *reinterpret_cast<BackwardKeysShared<Elem, kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int first_key = 16 * warp;
  const SparseSelection& lists = call.selection;
  const auto x = static_cast<int32_t>(blockIdx.x);
  if (x / call.num_heads >= *call.num_blocks) return;
  if (call.strand_counts[call.first_head + x % call.num_heads] == 0) return;
  begin_range_block(shared, call, thread);

  // A thread looks up one row of each tile: a place in the items' rows, a tile later its token.
  const bool looks_up = thread < kGradientRows;
  const auto token_at = [&](int32_t place) { return place < 0 ? -1 : lists.rows[place]; };
  const auto segments = [&] { return ItemSegments{shared.items, lists.items}; };
  SegmentCursor cursor(segments(), 0, shared.num_items);
  int32_t place_ahead = -1;
  if (looks_up) {
    shared.tokens.slots[0][thread] = token_at(cursor.position(segments(), thread));
    shared.tokens.slots[1][thread] = token_at(cursor.position(segments(), kGradientRows + thread));
    place_ahead = cursor.position(segments(), 2 * kGradientRows + thread);
  }
  __syncthreads();
  copy_queries_and_terms(shared, call.q.stride_row, 0, thread);

  float dk[kHeadDim / 8][4], dv[kHeadDim / 8][4];
  clear_fragment(dk);
  clear_fragment(dv);
  const bool active = first_key < shared.block.count;
  for (int32_t j = 0; shared.tokens.any(j); ++j) {
    wait_for_copies<0>();
    __syncthreads();
    copy_gradient_rows<kHeadDim>(shared.d_out, shared.d_out_of_head, call.d_out.stride_row,
                                 shared.tokens.of(j), thread);
    commit_copies();
    copy_queries_and_terms(shared, call.q.stride_row, j + 1, thread);
    int32_t token_ahead = -1;
    if (looks_up) {
      token_ahead = token_at(place_ahead);
      place_ahead = cursor.position(segments(), (j + 3) * kGradientRows + thread);
    }

    constexpr int kOctets = 4;  // of half a tile: registers are short
    const int part = computed_anew(lane);
    const Elem* queries = shared.queries[j % 2];
    float s[kOctets][4], dp[kOctets][4];
    if (active) multiply_tiles<kHeadDim>(s, shared.keys, first_key, queries, 0, part);
    wait_for_copies<1>();
    __syncthreads();
    if (active) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = 8 * kOctets * half;
        if (half > 0) multiply_tiles<kHeadDim>(s, shared.keys, first_key, queries, row, part);
        multiply_tiles<kHeadDim>(dp, shared.values, first_key, shared.d_out, row, part);
        differentiate_transposed(s, dp, call.scale_log2, shared.terms[j % 2] + row, part);
        add_weighted_rows<Elem, kHeadDim>(dv, s, shared.d_out, row, part);
        add_weighted_rows<Elem, kHeadDim>(dk, dp, queries, row, part);
      }
    }
    if (looks_up) shared.tokens.slots[(j + 2) % 3][thread] = token_ahead;
  }
  wait_for_copies<0>();
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int key = first_key + lane / 4 + 8 * r;
    if (key >= shared.block.count) continue;
    const int32_t token = lists.key_order[shared.block.first + key];
    store_row(dk, r, call.scale, call.dk.row(shared.head, token), call.dk.head_dim, lane);
    store_row(dv, r, 1.0f, call.dv.row(shared.head, token), call.dv.head_dim, lane);
  }
}

template <typename Elem, int kHeadDim>
void run_sparse_backward_keys(const SparseBackward<Elem>& call, int64_t max_blocks,
                              cudaStream_t stream) {
  launch(sparse_backward_keys_kernel<Elem, kHeadDim>,
         {.grid = dim3(static_cast<unsigned>(call.num_heads * max_blocks)),
          .block = dim3(kGradientThreads),
          .shared_bytes = sizeof(BackwardKeysShared<Elem, kHeadDim>)},
         stream, call);
}

}  // namespace sparsescope::cuda
