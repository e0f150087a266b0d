// The sm90 body of block-sparse attention. In a thread block one warp group multiplies, up to 64
// rows of an item at a time, and one drives the copy engine, ahead of it across items and strands
// (item_tiles.cuh). Two blocks of a multiprocessor cover each other's softmax and ends of items. In
// one block two items would share nothing, since each walks through keys of its own, and one could
// not take its next strand before the other is ready.
//
// Where items come in pairs, a block of its own per multiprocessor has two such groups, which read
// the same tiles: half of the traffic from L2.
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

// Groups that multiply: 1 or 2.
template <int kGroups>
struct SparseConfig {
  static constexpr int kNumGroups = kGroups;
  static constexpr int kThreads = (kGroups + 1) * kGroupThreads;
  static constexpr int kBlocks = kGroups == 1 ? 2 : 1;  // of a multiprocessor
  // Of 128 or 168 that each of a block's threads starts with. Walking through lists takes more than
  // the engine's work alone.
  static constexpr int kCopyRegisters = 40, kMultiplyRegisters = kGroups == 1 ? 216 : 232;
};

// Tiles of 96 KB a group.
template <int kHeadDim, int kGroups>
using SparseShared = ItemTiles<kHeadDim, kGroups * 384 / kHeadDim>;

// The way of an item's rows through their keys, for multiply_tiles.
template <typename Elem, int kHeadDim, int kGroups>
struct SparseWalk {
  const SparseShared<kHeadDim, kGroups>& tiles;
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

// Takes the group's rows of the item that begins with this tile through its keys; returns the
// number of the next item's first tile. warp: of the group
template <typename Elem, int kHeadDim, int kGroups>
__device__ int multiply_item(const SparseForward<Elem>& call,
                             SparseShared<kHeadDim, kGroups>& shared, const TileNote& note,
                             const ItemRows& own, int tile, int warp, int lane) {
  constexpr int kItemBarrier = 1;
  const int32_t* tokens = call.selection.rows + own.first + kWarpRows * warp;
  const int num_rows = own.count - kWarpRows * warp;  // idle where not positive
  // What other warps have left of the rows.
  if (note.merges) sync_named(kItemBarrier, kGroups * kGroupThreads);
  if (own.count == 0) return pass_item(shared, tile, lane);
  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  load_query_rows(rows.query, call.q.head(note.head), call.q.stride_row, tokens, num_rows, lane);
  if (note.merges) load_merged(rows, call, note.head, tokens, num_rows, lane);
  if (note.num_keys > 0) {
    SparseWalk<Elem, kHeadDim, kGroups> walk{shared, rows, call.scale_log2, lane};
    tile = multiply_tiles(rows, shared.keys, shared.values, tile, lane, walk);
  } else {
    tile = pass_item(shared, tile, lane);
  }
  write_rows(rows, call.out, note.head, tokens, num_rows, lane,
             ItemCopies{call.copies, own.first + kWarpRows * warp});
  if (note.merges) store_merged(rows, call, note.head, tokens, num_rows, lane);
  return tile;
}

// The kernels: what a thread block has in shared memory, and how a group takes an item whose first
// tile has arrived; warp: of the group.
template <typename Elem, int kHeadDim, int kGroups>
struct TallItems {
  using Config = SparseConfig<kGroups>;
  using Shared = SparseShared<kHeadDim, kGroups>;
  __device__ static Shared& tiles(Shared& shared) { return shared; }
  __device__ static int multiply(const SparseForward<Elem>& call, Shared& shared,
                                 const TileNote& note, int tile, int group, int warp, int lane) {
    const ItemRows own = shared.note(tile).rows[group];
    return multiply_item<Elem, kHeadDim, kGroups>(call, shared, note, own, tile, warp, lane);
  }
};

template <typename Elem, int kHeadDim>
struct ShortItems {
  using Config = SparseConfig<1>;
  using Shared = ShortShared<kHeadDim>;
  __device__ static SparseShared<kHeadDim, 1>& tiles(Shared& shared) { return shared.tiles; }
  __device__ static int multiply(const SparseForward<Elem>& call, Shared& shared,
                                 const TileNote& note, int tile, int, int warp, int lane) {
    ShortItem<Elem, kHeadDim> item(call, shared, note, warp, lane);
    tile = item.multiply(tile);
    item.write();
    return tile;
  }
};

template <typename Items, typename Elem>
__global__ void __launch_bounds__(Items::Config::kThreads, Items::Config::kBlocks)
    sparse_forward_kernel(const __grid_constant__ SparseForward<Elem> call, const StrandQueue queue,
                          const __grid_constant__ PieceMaps keys_maps,
                          const __grid_constant__ PieceMaps values_maps) {
  using Config = typename Items::Config;
  constexpr int kGroups = Config::kNumGroups;
  auto& shared = *reinterpret_cast<typename Items::Shared*>(dynamic_shared());
  auto& tiles = Items::tiles(shared);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // By shuffle, so that the compiler knows it to be the same in the whole warp.
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0);
  if (thread == 0) {
    prefetch_map(keys_maps.of_rows[PieceMaps::kMaps - 1]);
    prefetch_map(values_maps.of_rows[PieceMaps::kMaps - 1]);
    tiles.keys.init(kGroups * kGroupWarps);
    tiles.values.init(kGroups * kGroupWarps);
    fence_barrier_init();
  }
  __syncthreads();
  if (warp < kGroups * kGroupWarps) {
    take_registers<Config::kMultiplyRegisters>();
    int tile = 0;
    for (;;) {
      tiles.keys.wait(tile);
      // A copy: the note's place is filled again once its tile is released.
      const TileNote note = tiles.note(tile);
      if (note.rows[0].count < 0) break;
      tile =
          Items::multiply(call, shared, note, tile, warp / kGroupWarps, warp % kGroupWarps, lane);
    }
  } else {
    give_registers<Config::kCopyRegisters>();
    if (thread != kGroups * kGroupThreads) return;
    TileFiller(tiles, call, keys_maps, values_maps).run(queue, kGroups > 1);
  }
}

template <typename Elem, int kHeadDim>
void run_sparse_forward(const SparseForward<Elem>& call, int32_t max_blocks, cudaStream_t stream) {
  const auto maps = [&call](const HeadRows<Elem>& rows) {
    return map_pieces(packed_tensor<kHeadDim>(rows, rows.heads, call.selection.num_keys));
  };
  const PieceMaps keys_maps = maps(call.k), values_maps = maps(call.v);
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>(max_blocks, call.selection.num_strands));
  const auto run = [&]<typename Items>(TileHeight height) {
    launch(sparse_forward_kernel<Items, Elem>,
           {.grid = dim3(blocks),
            .block = dim3(Items::Config::kThreads),
            .shared_bytes = sizeof(typename Items::Shared)},
           stream, call, call.queues[height], keys_maps, values_maps);
  };
  run.template operator()<ShortItems<Elem, kHeadDim>>(kRows32);
  run.template operator()<TallItems<Elem, kHeadDim, 1>>(kRows64);
  run.template operator()<TallItems<Elem, kHeadDim, 2>>(kRows128);
}

}  // namespace sparsescope::cuda::sm90
