// The sm90 kernel of dq for a deterministic backward pass, on the forward pass's tiles
// (item_tiles.cuh). In a thread block two groups multiply, each up to 64 rows of items and strands
// of its own, and cover what is no product of each other; of a third one, two threads drive the
// copy engine, one for each. Two blocks of a multiprocessor, as in the forward pass, would leave a
// thread 216 registers, too few for q, d_out, dq, S and dP of its rows.
//
//   S = Q K^T,  dP = dO V^T,  dS = P * (dP - delta),  dQ += scale dS K
#pragma once

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/registers.cuh"
#include "kernels/cuda/gradient_rows.cuh"
#include "kernels/cuda/sm90/group_products.cuh"
#include "kernels/cuda/sm90/item_tiles.cuh"
#include "kernels/cuda/sm90/sparse_backward.h"
#include "kernels/cuda/sm90/tensor_map.h"

namespace sparsescope::cuda::sm90 {

struct RowGradientConfig {
  static constexpr int kGroups = 2;
  static constexpr int kThreads = (kGroups + 1) * kGroupThreads;
  // Of 168 that each of the 384 threads starts with.
  static constexpr int kCopyRegisters = 40, kMultiplyRegisters = 232;
  static constexpr int kGroupBarrier = 1;  // named; the first one a group
};

// Tiles of 96 KB for each group.
template <int kHeadDim>
using GroupTiles = ItemTiles<kHeadDim, 384 / kHeadDim>;

// P from S, of the first num_keys keys. terms: of the thread's two rows.
__device__ inline void to_row_probabilities(float (&s)[kOctets][4], float scale_log2, int num_keys,
                                            const RowTerms (&terms)[2], int lane) {
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      s[octet][j] = exp2_fast(fmaf(s[octet][j], scale_log2, -terms[j / 2].lse));
    }
  }
  if (num_keys == kKeys) return;
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (8 * octet + 2 * (lane % 4) + j % 2 >= num_keys) s[octet][j] = 0.0f;
    }
  }
}

// Takes the rows of the item that begins with this tile through its keys; returns the number of the
// next item's first tile.
template <typename Elem, int kHeadDim>
__device__ int add_row_gradients(const SparseBackward<Elem>& call, GroupTiles<kHeadDim>& tiles,
                                 int tile, int group, int warp, int lane) {
  constexpr int kSteps = kHeadDim / 16;
  TileNote note = tiles.note(tile);
  const auto tokens = [&] { return call.selection.rows + note.rows[0].first + kWarpRows * warp; };
  const auto num_rows = [&] {
    return note.rows[0].count - kWarpRows * warp;
  };  // idle if not positive
  uint32_t query[kSteps][4], d_out[kSteps][4];
  load_query_rows(query, call.q.head(note.head), call.q.stride_row, tokens(), num_rows(), lane);
  load_query_rows(d_out, call.d_out.head(note.head), call.d_out.stride_row, tokens(), num_rows(),
                  lane);
  RowTerms terms[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    terms[r] =
        row < num_rows() ? call.terms_of(note.head)[tokens()[row]] : RowTerms{INFINITY, 0.0f};
  }
  float dq[kHeadDim / 8][4];
  clear_fragment(dq);
  do {
    const uint32_t key_tile = tiles.keys.wait(tile), value_tile = tiles.values.wait(tile);
    const int num_keys = tiles.note(tile).num_keys;
    float s[kOctets][4], dp[kOctets][4];
    begin_products(s, query, dp, d_out);
    start_scores<Elem>(s, query, key_tile);
    start_scores<Elem>(dp, d_out, value_tile);
    wait_for_products<1>(s, query);
    to_row_probabilities(s, call.scale_log2, num_keys, terms, lane);
    wait_for_products<0>(dp, d_out);
    if (lane == 0) tiles.values.release(tile);
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
      for (int j = 0; j < 4; ++j) s[octet][j] *= dp[octet][j] - terms[j / 2].delta;
    }
    Probabilities ds;
    pack_probabilities<Elem>(s, ds);
    begin_products(ds, dq);
    start_outputs<Elem>(dq, ds, key_tile);
    wait_for_products<0>(ds, dq);
    note = tiles.note(tile);  // again: registers are short
    __syncwarp();
    if (lane == 0) tiles.keys.release(tile);
    ++tile;
  } while (!note.last);
  if (note.merges) {
    // What other warps have left of the rows.
    sync_named(RowGradientConfig::kGroupBarrier + group, kGroupThreads);
  }
  write_gradient(dq, call, note.merges, note.head, tokens(), num_rows(), lane);
  return tile;
}

template <typename Elem, int kHeadDim>
__global__ void __launch_bounds__(RowGradientConfig::kThreads, 1)
    sparse_backward_rows_kernel(const __grid_constant__ SparseBackward<Elem> call,
                                const StrandQueue queue,
                                const __grid_constant__ PieceMaps keys_maps,
                                const __grid_constant__ PieceMaps values_maps) {
  auto* const of_groups = reinterpret_cast<GroupTiles<kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // By shuffle, so that the compiler knows it to be the same in the whole warp.
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0), group = warp / kGroupWarps;
  if (thread == 0) {
    prefetch_map(keys_maps.of_rows[PieceMaps::kMaps - 1]);
    prefetch_map(values_maps.of_rows[PieceMaps::kMaps - 1]);
    for (int i = 0; i < RowGradientConfig::kGroups; ++i) {
      of_groups[i].keys.init(kGroupWarps);
      of_groups[i].values.init(kGroupWarps);
    }
    fence_barrier_init();
  }
  __syncthreads();
  if (group < RowGradientConfig::kGroups) {
    take_registers<RowGradientConfig::kMultiplyRegisters>();
    GroupTiles<kHeadDim>& tiles = of_groups[group];
    int tile = 0;
    for (;;) {
      tiles.keys.wait(tile);
      if (tiles.note(tile).rows[0].count < 0) break;
      tile = tiles.note(tile).num_keys == 0
                 ? pass_item(tiles, tile, lane)
                 : add_row_gradients(call, tiles, tile, group, warp % kGroupWarps, lane);
    }
  } else {
    give_registers<RowGradientConfig::kCopyRegisters>();
    const int of_group = warp % kGroupWarps;
    if (of_group >= RowGradientConfig::kGroups || lane != 0) return;
    TileFiller(of_groups[of_group], call, keys_maps, values_maps).run(queue, false);
  }
}

template <typename Elem, int kHeadDim>
void run_sparse_backward_rows(const SparseBackward<Elem>& call, int32_t max_blocks,
                              cudaStream_t stream) {
  const auto maps = [&call](const HeadRows<Elem>& rows) {
    return map_pieces(packed_tensor<kHeadDim>(rows, rows.heads, call.selection.num_keys));
  };
  const PieceMaps keys_maps = maps(call.k), values_maps = maps(call.v);
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>(max_blocks, call.selection.num_strands));
  for (const StrandQueue& queue : call.queues) {
    launch(sparse_backward_rows_kernel<Elem, kHeadDim>,
           {.grid = dim3(blocks),
            .block = dim3(RowGradientConfig::kThreads),
            .shared_bytes = RowGradientConfig::kGroups * sizeof(GroupTiles<kHeadDim>)},
           stream, call, queue, keys_maps, values_maps);
  }
}

}  // namespace sparsescope::cuda::sm90
