// The way of masses to a sink on the host: a chunk is copied back and its pieces are combined to
// cells there. For tests and for hosts that reduce; device reducers need none of it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cuda/key_plan.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

// Hands the row groups of the chunk, which begin with first_group, to params.sink as worker 0.
// Waits for the device.
void deliver_to_host(const DenseAttentionParams& params, const KeyPlan& plan,
                     const MassChunk& chunk, int32_t first_group, int32_t num_groups,
                     cudaStream_t stream);

}  // namespace sparsescope::cuda
