// What the instrumented kernel leaves on the device for the reducers: the masses of a run of row
// blocks of a few heads, in pieces. A piece is what one key block holds of one key cell: a cell of
// more than 64 tokens has several pieces, a key block of small cells holds several.
//
//   mass of (row, cell) = row_factor * sum over the cell's pieces p of piece_sums[p]
//
// Sums are relative to an early maximum of the row's scores, at most 2^64 times what they are to
// the last one: a cell's sum does not overflow.
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

// Device pointers; a row block has 64 lanes, a row each. Lanes without a row hold zeros. A row
// without keys has lse -infinity and zeros elsewhere.
struct MassChunk {
  int32_t first_head = 0, num_heads = 0;            // b * H + h
  int32_t first_row_block = 0, num_row_blocks = 0;  // into RowGroups::blocks; whole groups
  int32_t num_pieces = 0, num_bins = 0;
  const float* piece_sums = nullptr;  // [num_heads, num_row_blocks, num_pieces, 64]
  const float* row_factor = nullptr;  // [num_heads, num_row_blocks, 64]
  const float* lse = nullptr;         // [num_heads, num_row_blocks, 64] natural log
  const float* entropy = nullptr;     // [num_heads, num_row_blocks, 64] nats
  const float* bins = nullptr;        // [num_heads, num_row_blocks, T + Hg + Wg, 64] probability by
                                      // key coordinate along t, h, w; text excluded
  const int32_t* piece_cell = nullptr;  // [num_pieces] into KeyCells::cells; ascending
};

// Called on the host once a chunk is queued: what it queues on the same stream finds the chunk
// complete. The pointers die when the work queued by the call is done.
struct DeviceMassSink {
  void* context = nullptr;
  void (*consume)(void* context, const MassChunk& chunk, void* stream) = nullptr;
};

}  // namespace sparsescope::cuda
