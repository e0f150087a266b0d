// Row-major tiles of 16-bit elements in shared memory. The 16-byte chunks of a row are permuted by
// the row's number, so that eight rows of one chunk column lie in different banks.
#pragma once

#include <cstdint>

#include "arch/async_copy.cuh"

namespace sparsescope::cuda {

inline constexpr int kChunk = 8;  // elements of 16 bytes

// Offset in elements of a row's chunk.
template <int kHeadDim>
__device__ inline int chunk_offset(int row, int chunk) {
  static_assert(kHeadDim % (8 * kChunk) == 0);
  return row * kHeadDim + (chunk ^ (row & 7)) * kChunk;
}

// Starts to copy kRows rows; row r comes from source_of(r), or is zero where that is null.
template <int kHeadDim, int kRows, int kThreads, typename Elem, typename SourceOf>
__device__ inline void copy_rows_async(Elem* tile, int thread, const SourceOf& source_of) {
  constexpr int kChunksPerRow = kHeadDim / kChunk;
  static_assert(kThreads % kChunksPerRow == 0 && kRows * kChunksPerRow % kThreads == 0);
  constexpr int kRowsPerPass = kThreads / kChunksPerRow;
  const int chunk = thread % kChunksPerRow;
#pragma unroll
  for (int pass = 0; pass < kRows / kRowsPerPass; ++pass) {
    const int row = thread / kChunksPerRow + pass * kRowsPerPass;
    const Elem* source = source_of(row, pass);
    copy_async_16(tile + chunk_offset<kHeadDim>(row, chunk),
                  source == nullptr ? nullptr : source + chunk * kChunk, source != nullptr);
  }
}

}  // namespace sparsescope::cuda
