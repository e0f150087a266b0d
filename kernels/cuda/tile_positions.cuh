// Where the rows of a tile of 64 lie, for three tiles at a time: one that is worked on, one that is
// being copied, one that is looked up.
#pragma once

#include <cstdint>

#include "kernels/cuda/segment_cursor.cuh"

namespace sparsescope::cuda {

// In shared memory. Tile j's positions are found by the block's first 64 threads; a barrier later
// all may read them, until tile j + 3 is looked up.
struct TilePositions {
  static constexpr int kRows = 64;
  int32_t slots[3][kRows];

  __device__ const int32_t* of(int32_t tile) const { return slots[tile % 3]; }

  template <typename Segments>
  __device__ void find(int32_t tile, int thread, const Segments& segments, SegmentCursor& cursor) {
    if (thread < kRows) {
      slots[tile % 3][thread] = cursor.position(segments, tile * kRows + thread);
    }
  }

  // A tile is filled from its front.
  __device__ bool any(int32_t tile) const { return of(tile)[0] >= 0; }

  // A bit for every row that is there.
  __device__ uint64_t valid(int32_t tile, int lane) const {
    const uint64_t low = __ballot_sync(0xffffffffu, of(tile)[lane] >= 0);
    const uint64_t high = __ballot_sync(0xffffffffu, of(tile)[lane + 32] >= 0);
    return low | high << 32;
  }
};

}  // namespace sparsescope::cuda
