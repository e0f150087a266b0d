// What a layout decides of VMoBA's statistics, on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gate_means.h"
#include "kernels/cuda/gate_reduction.h"
#include "kernels/cuda/gate_values.h"
#include "kernels/cuda/mass_columns.h"
#include "kernels/cuda/reduce_queries.h"

namespace sparsescope::cuda {

struct GateTables {
  int32_t num_blocks = 0;  // of all partitions
  int32_t num_partitions = 0;
  int32_t most_blocks = 0;  // of a partition
  int32_t num_rows = 0;     // n
  std::vector<GateBlock> blocks_on_host;
  std::vector<GateBlock> partitions_on_host;  // the first block of each
  int32_t num_key_blocks = 0;                 // of the columns
  int32_t num_runs = 0;                       // of keys

  DeviceBuffer<GateBlock> blocks;
  DeviceBuffer<int32_t> partition_first;  // [partitions] first block
  DeviceBuffer<int32_t> self;             // [partitions, n]
  DeviceBuffer<int32_t> row_token;        // [n]
  DeviceBuffer<TileRun> row_runs;         // [n] each row by itself
  DeviceBuffer<int32_t> key_token;        // tokens by block, for each partition without a finer one
  DeviceBuffer<KeyRun> key_runs;          // [num_runs] into key_token
  DeviceBuffer<int32_t> runs_first;       // [blocks + 1] into runs
  DeviceBuffer<int32_t> runs;             // of each block
  DeviceBuffer<int32_t> parts_first, parts;  // finer blocks of each block
  DeviceBuffer<int32_t> listed;  // [blocks] those without finer ones, then those made of them
  std::vector<int32_t> lists;    // ends in listed: blocks that are summed together

  // Masses by block (mass_columns.h).
  DeviceBuffer<int32_t> column_tokens;
  DeviceBuffer<uint64_t> column_valid;
  DeviceBuffer<int32_t> first_group, columns;
  DeviceBuffer<ColumnBits> column_bits;
};

}  // namespace sparsescope::cuda
