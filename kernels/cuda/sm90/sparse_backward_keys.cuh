// The sm90 kernel of dk and dv, and of dq in the same five products. A thread block has 64 keys of
// a range and walks through the rows of the items that list the range, 64 at a time. Two groups
// multiply, each every other tile, with dK and dV of the 64 keys in registers, and add up at the
// end; a third one gathers the rows (row_tiles.cuh) and gives them its registers.
//
//   S^T = K Q^T,  dP^T = V dO^T,  dS = P * (dP - delta)
//   dV += P^T dO,  dK += scale dS^T Q,  dQ += scale dS K
//
// dQ of a tile belongs to rows that other blocks work on, too: it is added to global memory.
// Between the groups nothing is synchronised: one multiplies while the other is at its softmax or
// its additions.
#pragma once

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/registers.cuh"
#include "kernels/cuda/sm90/gradient_products.cuh"
#include "kernels/cuda/sm90/sparse_backward.h"

namespace sparsescope::cuda::sm90 {

struct KeyGradientConfig {
  static constexpr int kGroups = 2;
  static constexpr int kThreads = kGroups * kGroupThreads + kCopyWarps * 32;
  // Of 168 that each of the 384 threads starts with. Walking through lists takes more than 24.
  static constexpr int kCopyRegisters = 40, kMultiplyRegisters = 232;
  static constexpr int kGroupBarrier = 1, kBothBarrier = 3;  // named; the first one a group
};

// The block's part of the work.
struct KeyGradientBlock {
  RangeBlock keys;
  int32_t head, num_items;
  const int32_t* items;
  float* dq;  // row 0 of the head
};

template <int kHeadDim>
struct KeyGradientShared {
  alignas(1024) unsigned char keys[kRowTileBytes<kHeadDim>];
  alignas(1024) unsigned char values[kRowTileBytes<kHeadDim>];
  // dS^T, of a group's last two tiles: a warp may write the next one while others still multiply.
  alignas(1024) unsigned char ds[KeyGradientConfig::kGroups][2][kKeys * kStripRowBytes];
  RowTiles<kHeadDim, 512 / kHeadDim> rows;  // 128 KB
  KeyGradientBlock block;                   // here, since registers are short

  static_assert(sizeof(rows.queries) >= kKeys * kHeadDim * sizeof(float));
};

// Copies the block's keys and values, and then its rows. By a copying warp.
template <typename Elem, int kHeadDim>
__device__ void copy_gradient_tiles(const SparseBackward<Elem>& call,
                                    KeyGradientShared<kHeadDim>& shared, int warp, int lane) {
  const KeyGradientBlock block = shared.block;
  const RowGather<kHeadDim> gather(warp, lane);
  const auto copy_keys = [&](unsigned char* tile, const HeadRows<Elem>& packed) {
    const Elem* of_block = packed.head(block.head) + int64_t{block.keys.first} * kHeadDim;
#pragma unroll 2
    for (int pass = 0; pass < gather.kPasses; ++pass) {
      const int key = kCopiedRows * warp + gather.row_of(pass);
      gather.copy(tile, pass, of_block + key * kHeadDim + gather.chunk * kChunk,
                  key < block.keys.count);
    }
  };
  copy_keys(shared.keys, call.k);
  copy_keys(shared.values, call.v);
  const SparseSelection& lists = call.selection;
  // They belong to the first tile's group of copies.
  fill_row_tiles(shared.rows,
                 GatheredRows<Elem>{.q = call.q.head(block.head),
                                    .d_out = call.d_out.head(block.head),
                                    .q_stride = static_cast<int32_t>(call.q.stride_row),
                                    .d_out_stride = static_cast<int32_t>(call.d_out.stride_row),
                                    .terms = call.terms_of(block.head)},
                 lists.rows, ItemSegments{block.items, lists.items}, block.num_items,
                 KeyGradientConfig::kGroups, warp, lane);
}

// Adds a strip of the warp's 16 rows of dQ.
template <typename Elem>
__device__ void add_strip(const float (&dq)[kStripColumns / 8][4], const SparseBackward<Elem>& call,
                          const KeyGradientBlock& block, const int32_t* tokens, int strip,
                          int lane) {
  const int first = strip * kStripColumns;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int32_t token = tokens[lane / 4 + 8 * r];
    float* row = token < 0 ? nullptr : block.dq + token * call.dq.stride_token + first;
    add_row(dq, r, call.scale, row, call.dq.head_dim - first, lane);
  }
}

// One group's share of the tiles.
template <bool kWithQueries, typename Elem, int kHeadDim>
__device__ void add_gradients(const SparseBackward<Elem>& call, KeyGradientShared<kHeadDim>& shared,
                              int group, int warp, int lane, float (&dk)[kHeadDim / 8][4],
                              float (&dv)[kHeadDim / 8][4]) {
  auto& rows = shared.rows;
  constexpr int kStages = sizeof(rows.full) / sizeof(rows.full[0]);
  const uint32_t keys = shared_address(shared.keys), values = shared_address(shared.values);
  constexpr int kStripBytes = kKeys * kStripRowBytes;
  int turn = 0;  // of the two tiles of dS
  for (int tile = group;; tile += KeyGradientConfig::kGroups, turn ^= 1) {
    const int stage = tile % kStages;
    rows.wait(tile);
    if (!rows.any(tile)) break;
    const uint32_t queries = shared_address(rows.queries[stage]);
    const uint32_t d_out = shared_address(rows.d_out[stage]);
    Probabilities p, ds;
    {
      float p_sums[kOctets][4], ds_sums[kOctets][4];
      begin_products(p_sums, ds_sums);
      start_transposed_scores<Elem, kHeadDim>(p_sums, keys, queries);
      start_transposed_scores<Elem, kHeadDim>(ds_sums, values, d_out);
      wait_for_products<1>(p_sums);
      to_probabilities(p_sums, call.scale_log2, rows.terms[stage], lane);
      const int num_keys = shared.block.keys.count;
      if (num_keys < kKeys) clear_keys_from(num_keys, p_sums, warp, lane);
      wait_for_products<0>(ds_sums);
      to_score_gradients(ds_sums, p_sums, rows.terms[stage], lane);
      pack_probabilities<Elem>(p_sums, p);
      pack_probabilities<Elem>(ds_sums, ds);
    }
    begin_products(p, dv);
    start_outputs<Elem>(dv, p, d_out);
    if constexpr (kWithQueries) {
      unsigned char* ds_tile = shared.ds[group][turn];
      store_score_gradients(ds_tile, ds, warp, computed_anew(lane));
      fence_async_proxy();
      sync_named(KeyGradientConfig::kGroupBarrier + group, kGroupThreads);
      wait_for_products<0>(p, dv);
#pragma unroll
      for (int strip = 0; strip < kHeadDim / kStripColumns; ++strip) {
        float dq[kStripColumns / 8][4];
        begin_products(ds, dk, dq);
        start_query_gradients<Elem>(dq, shared_address(ds_tile), keys + strip * kStripBytes);
        if (strip == 0) {
          start_outputs<Elem>(dk, ds, queries);
          wait_for_products<1>(dq);
        } else {
          wait_for_products<0>(dq);
        }
        add_strip(dq, call, shared.block, rows.tokens[stage] + kWarpRows * warp, strip, lane);
      }
    } else {
      begin_products(ds, dk);
      start_outputs<Elem>(dk, ds, queries);
    }
    wait_for_products<0>(p, dv, ds, dk);
    __syncwarp();
    if (lane == 0) rows.release(tile);
  }
}

// Register by register, so that a thread finds what its twin of the other group has left.
template <int kOutOctets>
__device__ void leave_sums(const float (&sums)[kOutOctets][4], float4* slots, int thread) {
#pragma unroll
  for (int i = 0; i < kOutOctets; ++i) {
    slots[i * kGroupThreads + thread] = {sums[i][0], sums[i][1], sums[i][2], sums[i][3]};
  }
}
template <int kOutOctets>
__device__ void add_left_sums(float (&sums)[kOutOctets][4], const float4* slots, int thread) {
#pragma unroll
  for (int i = 0; i < kOutOctets; ++i) {
    const float4 left = slots[i * kGroupThreads + thread];
    sums[i][0] += left.x;
    sums[i][1] += left.y;
    sums[i][2] += left.z;
    sums[i][3] += left.w;
  }
}

template <int kOutOctets>
__device__ void write_key_gradients(float (&sums)[kOutOctets][4], float scale,
                                    const HeadOutput& output, const KeyGradientBlock& block,
                                    const int32_t* key_order, int warp, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int key = kWarpRows * warp + lane / 4 + 8 * r;
    if (key >= block.keys.count) continue;
    const int32_t token = key_order[block.keys.first + key];
    store_row(sums, r, scale, output.row(block.head, token), output.head_dim, lane);
  }
}

template <bool kWithQueries, typename Elem, int kHeadDim>
__device__ void multiply_gradient_tiles(const SparseBackward<Elem>& call,
                                        KeyGradientShared<kHeadDim>& shared, int group, int warp,
                                        int lane) {
  float dk[kHeadDim / 8][4], dv[kHeadDim / 8][4];
  clear_fragment(dk);
  clear_fragment(dv);
  add_gradients<kWithQueries>(call, shared, group, warp, lane, dk, dv);

  // The first group ends dV, the second one dK. All tiles have been read: they make room.
  using Config = KeyGradientConfig;
  const int thread = 32 * warp + lane;
  constexpr int kBothThreads = Config::kGroups * kGroupThreads;
  auto* dk_slots = reinterpret_cast<float4*>(shared.rows.queries);
  auto* dv_slots = reinterpret_cast<float4*>(shared.rows.d_out);
  sync_named(Config::kBothBarrier, kBothThreads);
  if (group == 0) {
    leave_sums(dk, dk_slots, thread);
  } else {
    leave_sums(dv, dv_slots, thread);
  }
  sync_named(Config::kBothBarrier, kBothThreads);
  const int32_t* key_order = call.selection.key_order;
  if (group == 0) {
    add_left_sums(dv, dv_slots, thread);
    write_key_gradients(dv, 1.0f, call.dv, shared.block, key_order, warp, lane);
  } else {
    add_left_sums(dk, dk_slots, thread);
    write_key_gradients(dk, call.scale, call.dk, shared.block, key_order, warp, lane);
  }
}

// grid: range blocks by heads
template <bool kWithQueries, typename Elem, int kHeadDim>
__global__ void __launch_bounds__(KeyGradientConfig::kThreads, 1)
    sparse_backward_keys_kernel(const __grid_constant__ SparseBackward<Elem> call) {
  using Config = KeyGradientConfig;
  auto& shared = *reinterpret_cast<KeyGradientShared<kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // By shuffle, so that the compiler knows it to be the same in the whole warp.
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0), group = warp / kGroupWarps;
  // Heads first: the longest lists are those of the first blocks.
  const auto number = static_cast<int32_t>(blockIdx.x) / call.num_heads;
  if (number >= *call.num_blocks) return;
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.x) % call.num_heads;
  if (call.strand_counts[head] == 0) return;
  const RangeBlock keys = call.blocks[number];
  int32_t num_items;
  const int32_t* items = call.range_items.of(head, keys.range, num_items);
  if (num_items == 0) return;  // the gradients were cleared
  if (thread == 0) {
    shared.block = {keys, head, num_items, items, call.dq.row(head, 0)};
    shared.rows.init(kGroupWarps);
    fence_barrier_init();
  }
  __syncthreads();
  if (group < Config::kGroups) {
    take_registers<Config::kMultiplyRegisters>();
    multiply_gradient_tiles<kWithQueries>(call, shared, group, warp % kGroupWarps, lane);
  } else {
    give_registers<Config::kCopyRegisters>();
    copy_gradient_tiles(call, shared, warp % kGroupWarps, lane);
  }
}

template <typename Elem, int kHeadDim>
void run_sparse_backward_keys(const SparseBackward<Elem>& call, bool with_queries,
                              int64_t max_blocks, cudaStream_t stream) {
  const auto run = [&]<bool kWithQueries>() {
    launch(sparse_backward_keys_kernel<kWithQueries, Elem, kHeadDim>,
           {.grid = dim3(static_cast<unsigned>(call.num_heads * max_blocks)),
            .block = dim3(KeyGradientConfig::kThreads),
            .shared_bytes = sizeof(KeyGradientShared<kHeadDim>)},
           stream, call);
  };
  with_queries ? run.template operator()<true>() : run.template operator()<false>();
}

}  // namespace sparsescope::cuda::sm90
