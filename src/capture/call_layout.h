// Everything about a call that its grid alone decides: cells and row groups, sizes and memberships,
// and which lanes of a row block share a coordinate. Built once per grid.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "capture/sampled_rows.h"
#include "core/key_cells.h"
#include "core/row_groups.h"
#include "core/token_grid.h"

namespace sparsescope {

// For each row block and each coordinate that its rows have along one axis: the lanes of those
// rows.
struct AxisLanes {
  int64_t extent = 0;
  std::vector<int32_t> first;       // [num_video_blocks + 1] into coordinate
  std::vector<int32_t> coordinate;  // of each entry
  std::vector<float> weight;        // [entries, 64] 1 where the lane has the coordinate, else 0
};

struct PartitionLayout {
  std::string name;  // "temporal:2"
  int64_t blocks = 0;
  int64_t first_block = 0;             // among the blocks of all partitions
  std::vector<float> size;             // [blocks] tokens; only the last block may be smaller
  std::vector<int32_t> block_of_tile;  // [N] where every tile lies in one block, else empty
  // A partition whose blocks each lie in one block of this one, the coarsest of them; or -1.
  int64_t finer = -1;
  std::vector<int32_t> block_of_finer;  // [blocks of the finer]
  // [blocks] weight of each finer block in the mean of the block, where all that a block holds
  // weigh the same power of two, so that equal means stay equal; else empty
  std::vector<float> finer_weight;
  std::vector<int32_t> self;  // [sampled rows] the block that the row lies in
  std::vector<int32_t> rank;  // [sampled rows] place in the partition's token order
};

struct CallLayout {
  KeyCells cells;
  RowGroups rows;
  SampledRows sampled;
  int64_t prefix = 0, suffix = 0;
  int64_t video_tokens = 0;
  int64_t num_tiles = 0;              // N
  int64_t num_video_blocks = 0;       // row blocks that hold video rows
  std::vector<int32_t> tile_of_cell;  // [num_video_cells]
  bool cells_are_tiles = false;
  std::vector<float> tile_size;       // [N]
  std::vector<int32_t> centre_token;  // [N] token index of the tile's centre
  std::array<AxisLanes, 3> axes;      // t, h, w
  std::vector<PartitionLayout> partitions;
  std::vector<int64_t> finest_first;  // partitions, each behind its finer one
  int64_t partition_blocks = 0;       // of all partitions together

  bool has_text() const { return prefix + suffix > 0; }
  const TokenGrid& grid() const { return cells.tiles.grid(); }
};

struct CallShape {
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  bool operator==(const CallShape&) const = default;
};

// Sampled rows are drawn from seed, rows_per_tile to a tile's volume; 0: all rows.
CallLayout make_call_layout(const CallShape& shape, const TileShape& tile,
                            const std::vector<Partition>& partitions, int64_t rows_per_tile,
                            uint64_t seed);

}  // namespace sparsescope
