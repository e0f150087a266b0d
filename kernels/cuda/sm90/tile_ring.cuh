// Tiles on their way from the copy engine to the warp groups: a ring of stages in shared memory,
// each with a barrier for its arrival and one for its release. Tiles are numbered from 0; tile i
// lies in stage i % kStages.
#pragma once

#include <cstdint>

#include "arch/tensor_copy.cuh"
#include "kernels/cuda/forward_tile.cuh"

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
    const int stage = i % kStages;
    wait_for_phase(empty[stage], round(i) ^ 1);
    arrive_expecting(full[stage], kTileBytes);
    copy_box(tiles[stage], map, full[stage], 0, first_row, 0, head);
  }

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
