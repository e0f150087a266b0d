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

// From the offset of a row's chunk that of the chunk whose number differs in the bits of step:
// cheap to compute again, so that no register has to keep it.
__device__ inline int step_chunks(int offset, int step) { return offset ^ (step * kChunk); }

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

// Starts to copy kRows rows that lie one after the other.
template <int kHeadDim, int kRows, int kThreads, typename Elem>
__device__ inline void copy_tile_async(Elem* tile, int thread, const Elem* source) {
  constexpr int kChunksPerRow = kHeadDim / kChunk;
  constexpr int kRowsPerPass = kThreads / kChunksPerRow;
  static_assert(kRowsPerPass % 8 == 0 && kRows % kRowsPerPass == 0);
  const int row = thread / kChunksPerRow, chunk = thread % kChunksPerRow;
  Elem* to = tile + chunk_offset<kHeadDim>(row, chunk);
  const Elem* from = source + thread * kChunk;
#pragma unroll
  for (int pass = 0; pass < kRows / kRowsPerPass; ++pass) {
    constexpr int kElements = kRowsPerPass * kHeadDim;
    copy_async_16(to + pass * kElements, from + pass * kElements, true);
  }
}

}  // namespace sparsescope::cuda
