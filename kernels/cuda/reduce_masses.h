// First step of the statistics on the device: the masses of a chunk by tile. Each row group is read
// once: means of its tiles, how far its rows are from them, and the rows that are sampled.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/row_groups.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

// Rows of one tile in one row block.
struct LaneSpan {
  int32_t tile = 0;
  int32_t first = 0, count = 0;  // lanes
  int32_t tile_rows = 0;         // n_i
  int32_t ends_tile = 0;         // 1 where the tile has no rows in later blocks
};

// Of all video row blocks.
struct SpanTable {
  const int32_t* first = nullptr;  // [blocks + 1] into spans
  const LaneSpan* spans = nullptr;
  const uint8_t* slot = nullptr;  // [blocks, 64] span of the lane's row, counted within its block
  int32_t most = 1;               // spans of a block, at most
};

// piece_first[i]: the first piece of cell cells[i] or of a later one; cells ascend.
void find_first_pieces(const MassChunk& chunk, const int32_t* cells, int32_t num_cells,
                       int32_t* piece_first, cudaStream_t stream);

// Runs of tiles that are reduced apart.
int32_t tile_runs(int32_t num_tiles);

struct TileMasses {
  MassChunk chunk;
  const int32_t* piece_first = nullptr;  // [N + 1] of each tile, and of the text
  int32_t num_tiles = 0;                 // N
  const RowGroup* groups = nullptr;      // [num_groups] of the chunk
  int32_t first_group = 0, num_groups = 0, all_groups = 0;
  const RowBlock* blocks = nullptr;  // of all row blocks
  SpanTable spans;
  const int32_t* sampled_first = nullptr;  // [video blocks + 1]
  const uint8_t* sampled_lane = nullptr;
  int32_t first_sample = 0, num_samples = 0;  // of the chunk
  float* map = nullptr;          // [num_heads, N, N]: rows of the chunk's tiles are written
  double* difference = nullptr;  // [num_heads, all_groups, tile_runs(N)] sums of |m - M|
  float* sampled = nullptr;      // [num_heads, num_samples, N] tile masses of the sampled rows
};
void reduce_tile_masses(const TileMasses& call, cudaStream_t stream);

// sums [num_heads, all_blocks, 2]: entropy and text mass over the rows of the chunk's first
// num_blocks row blocks; those of other chunks stay.
void reduce_rows(const MassChunk& chunk, const int32_t* piece_first, int32_t num_tiles,
                 int32_t num_blocks, int32_t all_blocks, double* sums, cudaStream_t stream);

}  // namespace sparsescope::cuda
