// What a layout decides of VMoBA's statistics, on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gate_reduction.h"
#include "kernels/cuda/gate_values.h"
#include "kernels/cuda/reduce_queries.h"

namespace sparsescope::cuda {

struct GateTables {
  int32_t num_blocks = 0;  // of all partitions
  int32_t num_partitions = 0;
  int32_t most_blocks = 0;  // of a partition
  int32_t num_rows = 0;     // n
  int32_t num_cells = 0;
  std::vector<GateBlock> blocks_on_host;
  std::vector<RowBlock> row_blocks_on_host;

  DeviceBuffer<GateBlock> blocks;
  DeviceBuffer<int32_t> partition_first;  // [partitions] first block
  DeviceBuffer<int32_t> self;             // [partitions, n]
  DeviceBuffer<RowBlock> row_blocks;
  DeviceBuffer<int32_t> row_token;           // [n]
  DeviceBuffer<TileRun> row_runs;            // [n] each row by itself
  DeviceBuffer<int32_t> key_token;           // tokens by block, for each partition
  DeviceBuffer<TileRun> block_runs;          // [blocks] into key_token
  DeviceBuffer<int32_t> parts_first, parts;  // cells or finer blocks of each block
  DeviceBuffer<int32_t> listed;       // [blocks] those made of cells, then those made of them
  std::vector<int32_t> lists;         // ends in listed: blocks that are summed together
  DeviceBuffer<int32_t> cell_number;  // [cells + 1] 0, 1, 2, ...
};

}  // namespace sparsescope::cuda
