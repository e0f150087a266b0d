// Tiles on their way from the copy engine to the warp groups: a ring of stages in shared memory,
// each with a barrier for its arrival and one for its release. Tiles are numbered from 0; tile i
// lies in stage i % kStages.
#pragma once

#include <cstdint>

#include "arch/tensor_copy.cuh"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/sm90/matrix_descriptor.cuh"
#include "kernels/cuda/sm90/tensor_map.h"

namespace sparsescope::cuda::sm90 {

template <int kHeadDim, int kStages>
struct TileRing {
  static constexpr int kTileBytes = kKeys * kHeadDim * 2;

  alignas(1024) unsigned char tiles[kStages][kTileBytes];
  TransactionBarrier full[kStages], empty[kStages];

  // By one thread, followed by fence_barrier_init. num_readers: warps that release every tile.
  __device__ void init(int num_readers) {
    for (int stage = 0; stage < kStages; ++stage) {
      init_barrier(full[stage], 1);
      init_barrier(empty[stage], num_readers);
    }
  }

  // By the one thread that fills the ring: 64 rows of a head, once the stage is free.
  __device__ void fill(int i, const CUtensorMap& map, int first_row, int head) {
    wait_for_release(i);
    expect(i);
    copy_box(tiles[i % kStages], map, full[i % kStages], 0, first_row, 0, head);
    end_fill(i);
  }

  // The same in pieces that make up 64 rows, or without any: wait_for_release, expect, copy_piece,
  // ..., end_fill. What the thread wrote before end_fill is seen by who waits for the tile.
  __device__ void wait_for_release(int i) { wait_for_phase(empty[i % kStages], round(i) ^ 1); }
  __device__ void expect(int i) { expect_bytes(full[i % kStages], kTileBytes); }
  __device__ void copy_piece(int i, int row, int num_rows, const PieceMaps& maps, int first_row,
                             int head) {
    const int stage = i % kStages;
#pragma unroll
    for (int bit = PieceMaps::kMaps - 1; bit >= 0; --bit) {
      if ((num_rows >> bit & 1) == 0) continue;
#pragma unroll
      for (int strip = 0; strip < kHeadDim / kStripColumns; ++strip) {
        copy_box(tiles[stage] + (strip * kKeys + row) * kStripRowBytes, maps.of_rows[bit],
                 full[stage], 0, first_row, strip, head);
      }
      row += 1 << bit;
      first_row += 1 << bit;
    }
  }
  __device__ void end_fill(int i) { arrive(full[i % kStages]); }

  // Waits for the tile and returns its address.
  __device__ uint32_t wait(int i) {
    const int stage = i % kStages;
    wait_for_phase(full[stage], round(i));
    return shared_address(tiles[stage]);
  }

  // By one lane of every reading warp.
  __device__ void release(int i) { arrive(empty[i % kStages]); }

 private:
  __device__ static int round(int i) { return i / kStages % 2; }
};

}  // namespace sparsescope::cuda::sm90
