// The rows that take a block's keys, on their way to the groups that multiply: tiles of 64 rows of
// q and d_out with their terms and tokens, gathered by cp.async, since the copy engine takes only
// rows that lie one after the other. They lie as the copy engine would have left them
// (matrix_descriptor.cuh).
//
// Each of four copying warps gathers 16 rows of every tile, without a word to the others. cp.async
// writes as the thread itself would, while wgmma reads through the async proxy: a tile is announced
// by the warp that has waited for its copies and fenced them, while those of the next are under
// way.
#pragma once

#include <cstdint>

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/transaction_barrier.cuh"
#include "kernels/cuda/row_terms.h"
#include "kernels/cuda/segment_cursor.cuh"
#include "kernels/cuda/shared_tile.cuh"
#include "kernels/cuda/sm90/matrix_descriptor.cuh"

namespace sparsescope::cuda::sm90 {

inline constexpr int kTileRows = 64;
inline constexpr int kCopyWarps = 4;
inline constexpr int kCopiedRows = kTileRows / kCopyWarps;  // of a warp

template <int kHeadDim>
inline constexpr int kRowTileBytes = kTileRows* kHeadDim * 2;

// Tile i lies in stage i % kStages. It is filled from its front; missing rows have token -1, and q,
// d_out and terms 0. Behind the last tile comes an empty one for each reader.
template <int kHeadDim, int kStages>
struct RowTiles {
  alignas(1024) unsigned char queries[kStages][kRowTileBytes<kHeadDim>];
  alignas(1024) unsigned char d_out[kStages][kRowTileBytes<kHeadDim>];
  alignas(16) RowTerms terms[kStages][kTileRows];
  int32_t tokens[kStages][kTileRows];
  TransactionBarrier full[kStages], empty[kStages];

  // By one thread, followed by fence_barrier_init. num_readers: warps that release a tile.
  __device__ void init(int num_readers) {
    for (int stage = 0; stage < kStages; ++stage) {
      init_barrier(full[stage], kCopyWarps);
      init_barrier(empty[stage], num_readers);
    }
  }

  __device__ void wait(int i) { wait_for_phase(full[i % kStages], round(i)); }
  __device__ bool any(int i) const { return tokens[i % kStages][0] >= 0; }
  // By one lane of every reading warp.
  __device__ void release(int i) { arrive(empty[i % kStages]); }

  // By a copying warp.
  __device__ void wait_for_release(int i) { wait_for_phase(empty[i % kStages], round(i) ^ 1); }
  // Announces the warp's part of a tile behind which it has started kGroupsLeft groups of copies.
  template <int kGroupsLeft>
  __device__ void end_fill(int i, int lane) {
    wait_for_copies<kGroupsLeft>();
    fence_async_proxy();
    __syncwarp();
    if (lane == 0) arrive(full[i % kStages]);
  }

 private:
  __device__ static int round(int i) { return i / kStages % 2; }
};

// How a warp's lanes share out 16 rows of a tile: some rows at a time, a chunk each.
template <int kHeadDim>
struct RowGather {
  static constexpr int kChunks = kHeadDim / kChunk, kRowsPerPass = 32 / kChunks;
  static constexpr int kPasses = kCopiedRows / kRowsPerPass;
  static_assert(kRowsPerPass <= kSwizzleRows);

  int row, chunk;  // the lane's, of a pass
  int first;       // offset in a tile of what it copies in the first pass

  __device__ RowGather(int warp, int lane) : row(lane / kChunks), chunk(lane % kChunks) {
    constexpr int kStripChunks = kStripColumns / kChunk;
    first = chunk / kStripChunks * (kTileRows * kStripRowBytes) +
            (kCopiedRows * warp + row) * kStripRowBytes + (chunk % kStripChunks ^ row) * 16;
  }
  __device__ int row_of(int pass) const { return pass * kRowsPerPass + row; }
  __device__ int offset(int pass) const {
    constexpr int kChunkBytes = 16;
    return (first ^ pass * kRowsPerPass % kSwizzleRows * kChunkBytes) +
           pass * kRowsPerPass * kStripRowBytes;
  }

  // Starts to copy the lane's chunk of a pass; zeros where there is no such row.
  template <typename Elem>
  __device__ void copy(unsigned char* tile, int pass, const Elem* chunk_of_row, bool any) const {
    copy_async_16(tile + offset(pass), chunk_of_row, any);
  }
};

// What the rows are read from: of one head.
template <typename Elem>
struct GatheredRows {
  const Elem *q, *d_out;
  int32_t q_stride, d_out_stride;
  const RowTerms* terms;
};

// Fills the tiles with the rows of the segments, followed by num_readers empty ones. By a copying
// warp; tokens: by place in the segments. A tile's tokens are looked up while the one before is
// copied.
template <typename Elem, int kHeadDim, int kStages, typename Segments>
__device__ void fill_row_tiles(RowTiles<kHeadDim, kStages>& tiles, const GatheredRows<Elem>& rows,
                               const int32_t* tokens, const Segments& segments, int num_segments,
                               int num_readers, int warp, int lane) {
  const RowGather<kHeadDim> gather(warp, lane);
  const Elem* const q = rows.q + gather.chunk * kChunk;
  const Elem* const d_out = rows.d_out + gather.chunk * kChunk;
  SegmentCursor cursor(segments, 0, num_segments);
  // The other half of the lanes watches out for the end.
  const bool looks_up = lane < kCopiedRows;
  const int own = looks_up ? kCopiedRows * warp + lane : 0;
  const auto token_at = [&](int32_t place) { return place < 0 ? -1 : tokens[place]; };
  int32_t token = token_at(cursor.position(segments, own));
  int tile = 0;
  while (__shfl_sync(0xffffffffu, token, kCopiedRows) >= 0) {
    const int32_t token_ahead = token_at(cursor.position(segments, (tile + 1) * kTileRows + own));
    tiles.wait_for_release(tile);
    const int stage = tile % kStages;
    if (looks_up) {
      const int row = kCopiedRows * warp + lane;
      tiles.tokens[stage][row] = token;
      copy_async_8(&tiles.terms[stage][row], rows.terms + token, token >= 0);
    }
#pragma unroll
    for (int pass = 0; pass < gather.kPasses; ++pass) {
      const int32_t from = __shfl_sync(0xffffffffu, token, gather.row_of(pass));
      const bool any = from >= 0;
      const int32_t row = any ? from : 0;
      gather.copy(tiles.queries[stage], pass, q + int64_t{row} * rows.q_stride, any);
      gather.copy(tiles.d_out[stage], pass, d_out + int64_t{row} * rows.d_out_stride, any);
    }
    commit_copies();
    if (tile > 0) tiles.template end_fill<1>(tile - 1, lane);
    token = token_ahead;
    ++tile;
  }
  if (tile > 0) tiles.template end_fill<0>(tile - 1, lane);
  for (const int end = tile + num_readers; tile < end; ++tile) {
    tiles.wait_for_release(tile);
    if (looks_up) tiles.tokens[tile % kStages][kCopiedRows * warp + lane] = -1;
    tiles.template end_fill<0>(tile, lane);
  }
}

}  // namespace sparsescope::cuda::sm90
