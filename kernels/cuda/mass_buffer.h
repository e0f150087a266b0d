// Device memory of the masses of a run of row blocks of a few heads.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/dense_forward.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/key_plan.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

class MassBuffer {
 public:
  // max_items: pairs of a head and a row block.
  MassBuffer(const KeyPlan& plan, int64_t max_items, cudaStream_t stream);

  static int64_t bytes_per_item(const KeyPlan& plan);

  // Where a kernel writes num_items items; blocks and bricks are not set.
  MassOutput output(int64_t num_items);

 private:
  static int64_t floats_per_item(const KeyPlan& plan);

  int32_t num_pieces_, num_bins_;
  DeviceBuffer<float> values_;
};

// The arrays as reducers see them; ranges and the plan's arrays are not set.
MassChunk as_chunk(const MassOutput& output);

}  // namespace sparsescope::cuda
