// How kernels find the gates of a head to a block.
#pragma once

#include "kernels/cuda/gate_values.h"

namespace sparsescope::cuda {

__device__ inline const float* gates_of(const GateRows& rows, int head, int block) {
  return rows.gates + (int64_t{head} * rows.num_blocks + block) * rows.num_rows;
}

}  // namespace sparsescope::cuda
