// What dense calls with the same cells and row groups share: the key plan, and the lists of a call
// on the device. A model's calls differ in q, k and v alone, so that the last plans are kept: a
// call then neither plans nor waits for copies.
#pragma once

#include <cstdint>
#include <memory>

#include "core/key_cells.h"
#include "core/row_groups.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/key_plan.h"

namespace sparsescope::cuda {

struct DensePlan {
  KeyPlan keys;
  DeviceBuffer<int32_t> tokens;
  DeviceBuffer<uint64_t> valid;
  DeviceBuffer<KeyBlockPlace> blocks;
  DeviceBuffer<KeyBrick> bricks;
  DeviceBuffer<int32_t> piece_cell;
  DeviceBuffer<RowBlock> row_blocks;
  DeviceBuffer<int32_t> row_order;
};

// For the current device. The thread keeps the last plan without masses and the last two with: a
// recorded call makes one pass over all rows and one over a sample.
std::shared_ptr<const DensePlan> dense_plan(const KeyCells& cells, const RowGroups& rows,
                                            bool with_masses, cudaStream_t stream);

}  // namespace sparsescope::cuda
