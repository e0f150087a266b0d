// The sm90 body of block-sparse attention. In a thread block one warp group multiplies, up to 64
// rows of an item at a time, and one drives the copy engine, ahead of it across items and strands
// (item_tiles.cuh). Two blocks of a multiprocessor cover each other's softmax and ends of items. In
// one block two items would share nothing, since each walks through keys of its own, and one could
// not take its next strand before the other is ready.
//
// Rows of a strand that merges begin each item with what the items before have left of them.
// Strands of items of up to 32 rows, which never merge, have a kernel of their own
// (short_items.cuh).
#pragma once

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/registers.cuh"
#include "kernels/cuda/merged_rows.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/sm90/item_tiles.cuh"
#include "kernels/cuda/sm90/multiply_tiles.cuh"
#include "kernels/cuda/sm90/short_items.cuh"
#include "kernels/cuda/sm90/sparse_forward.h"
#include "kernels/cuda/sm90/tensor_map.h"

namespace sparsescope::cuda::sm90 {

struct SparseConfig {
  static constexpr int kThreads = 2 * kGroupThreads;
  static constexpr int kBlocks = 2;  // of a multiprocessor
  // Of 128 that each of the 256 threads starts with. Walking through lists takes more than the
  // engine's work alone.
  static constexpr int kCopyRegisters = 40, kMultiplyRegisters = 216;
};

// Tiles of 96 KB.
template <int kHeadDim>
using SparseShared = ItemTiles<kHeadDim, 384 / kHeadDim>;

// The way of an item's rows through their keys, for multiply_tiles.
template <typename Elem, int kHeadDim>
struct SparseWalk {
  const SparseShared<kHeadDim>& tiles;
  WarpRows<Elem, kHeadDim>& rows;
  float scale_log2;
  int lane;
  int num_keys = 0;
  bool last = false;

  __device__ void look_up(int tile) {
    const TileNote& note = tiles.note(tile);
    num_keys = note.num_keys;
    last = note.last;
  }
  __device__ bool is_last() const { return last; }
  __device__ void begin_turn() {}
  __device__ void end_turn() {}
  __device__ void soften(float (&s)[kOctets][4], float (&factor)[2]) {
    if (num_keys < kKeys) rows.mask((uint64_t{1} << num_keys) - 1, lane, s);
    rows.exponentiate(s, scale_log2, factor, [](int, float, float) {});
  }
};

// Takes the rows of the item that begins with this tile through its keys; returns the number of the
// next item's first tile.
template <typename Elem, int kHeadDim>
__device__ int multiply_item(const SparseForward<Elem>& call, SparseShared<kHeadDim>& shared,
                             const TileNote& note, int tile, int warp, int lane) {
  constexpr int kItemBarrier = 1;
  const int32_t* tokens = call.selection.rows + note.first_row + kWarpRows * warp;
  const int num_rows = note.num_rows - kWarpRows * warp;  // idle where not positive
  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  load_query_rows(rows.query, call.q.head(note.head), call.q.stride_row, tokens, num_rows, lane);
  if (note.merges) {
    sync_named(kItemBarrier, kGroupThreads);  // what other warps have left of the rows
    load_merged(rows, call, note.head, tokens, num_rows, lane);
  }
  if (note.num_keys > 0) {
    SparseWalk<Elem, kHeadDim> walk{shared, rows, call.scale_log2, lane};
    tile = multiply_tiles(rows, shared.keys, shared.values, tile, lane, walk);
  } else {
    shared.values.wait(tile);
    __syncwarp();
    if (lane == 0) {
      shared.keys.release(tile);
      shared.values.release(tile);
    }
    ++tile;
  }
  write_rows(rows, call.out, note.head, tokens, num_rows, lane,
             ItemCopies{call.copies, note.first_row + kWarpRows * warp});
  if (note.merges) store_merged(rows, call, note.head, tokens, num_rows, lane);
  return tile;
}

// The two kernels: what a thread block has in shared memory, and how its group takes an item.
template <typename Elem, int kHeadDim>
struct TallItems {
  using Shared = SparseShared<kHeadDim>;
  __device__ static SparseShared<kHeadDim>& tiles(Shared& shared) { return shared; }
  __device__ static int multiply(const SparseForward<Elem>& call, Shared& shared,
                                 const TileNote& note, int tile, int warp, int lane) {
    return multiply_item(call, shared, note, tile, warp, lane);
  }
};

template <typename Elem, int kHeadDim>
struct ShortItems {
  using Shared = ShortShared<kHeadDim>;
  __device__ static SparseShared<kHeadDim>& tiles(Shared& shared) { return shared.tiles; }
  __device__ static int multiply(const SparseForward<Elem>& call, Shared& shared,
                                 const TileNote& note, int tile, int warp, int lane) {
    ShortItem<Elem, kHeadDim> item(call, shared, note, warp, lane);
    tile = item.multiply(tile);
    item.write();
    return tile;
  }
};

template <template <typename, int> typename Items, typename Elem, int kHeadDim>
__global__ void __launch_bounds__(SparseConfig::kThreads, SparseConfig::kBlocks)
    sparse_forward_kernel(const __grid_constant__ SparseForward<Elem> call, const StrandQueue queue,
                          const __grid_constant__ PieceMaps keys_maps,
                          const __grid_constant__ PieceMaps values_maps) {
  using ItemsOf = Items<Elem, kHeadDim>;
  auto& shared = *reinterpret_cast<typename ItemsOf::Shared*>(dynamic_shared());
  auto& tiles = ItemsOf::tiles(shared);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // By shuffle, so that the compiler knows it to be the same in the whole warp.
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0);
  if (thread == 0) {
    prefetch_map(keys_maps.of_rows[PieceMaps::kMaps - 1]);
    prefetch_map(values_maps.of_rows[PieceMaps::kMaps - 1]);
    tiles.keys.init(kGroupWarps);
    tiles.values.init(kGroupWarps);
    fence_barrier_init();
  }
  __syncthreads();
  if (warp < kGroupWarps) {
    take_registers<SparseConfig::kMultiplyRegisters>();
    int tile = 0;
    for (;;) {
      tiles.keys.wait(tile);
      const TileNote note = tiles.note(tile);
      if (note.num_rows < 0) break;
      tile = ItemsOf::multiply(call, shared, note, tile, warp, lane);
    }
  } else {
    give_registers<SparseConfig::kCopyRegisters>();
    if (thread != kGroupThreads) return;
    TileFiller(tiles, call, keys_maps, values_maps).run(queue);
  }
}

template <typename Elem, int kHeadDim>
void run_sparse_forward(const SparseForward<Elem>& call, int32_t max_blocks, cudaStream_t stream) {
  const auto maps = [&call](const HeadRows<Elem>& rows) {
    return map_pieces({.data = rows.data,
                       .heads = rows.heads,
                       .rows = call.selection.num_keys,
                       .head_dim = kHeadDim,
                       .stride_head = rows.stride_head,
                       .stride_row = rows.stride_row});
  };
  const PieceMaps keys_maps = maps(call.k), values_maps = maps(call.v);
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>(max_blocks, call.selection.num_strands));
  const auto run = [&]<template <typename, int> typename Items>(TileHeight height) {
    launch(sparse_forward_kernel<Items, Elem, kHeadDim>,
           {.grid = dim3(blocks),
            .block = dim3(SparseConfig::kThreads),
            .shared_bytes = sizeof(typename Items<Elem, kHeadDim>::Shared)},
           stream, call, call.queues[height], keys_maps, values_maps);
  };
  run.template operator()<ShortItems>(kRows32);
  run.template operator()<TallItems>(kRows64);
}

}  // namespace sparsescope::cuda::sm90
