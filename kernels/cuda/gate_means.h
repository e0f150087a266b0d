// Mean keys of the blocks of partitions: sums of short runs of tokens first, so that blocks of
// thousands of tokens are read by many threads; then blocks as sums of runs, in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/gate_values.h"

namespace sparsescope::cuda {

inline constexpr int32_t kMaxKeyRun = 64;  // tokens

struct KeyRun {
  int32_t first = 0, count = 0;
};

struct KeyRuns {
  const int32_t* tokens = nullptr;
  const KeyRun* runs = nullptr;  // [num_runs] into tokens
  int32_t num_runs = 0;
};
// sums [num_heads, num_runs, D]; k [1, H, S, D] on the device, D at most 128
void sum_key_runs(const AttentionTensor& k, int32_t first_head, int32_t num_heads,
                  const KeyRuns& runs, double* sums, cudaStream_t stream);

struct BlockRuns {
  const int32_t* first = nullptr;  // [num_blocks + 1] into runs
  const int32_t* runs = nullptr;
  int32_t num_blocks = 0, num_runs = 0;
};
// means [num_heads, num_blocks, D] of the blocks' tokens
void mean_of_runs(const double* sums, const BlockRuns& of_blocks, const GateBlock* blocks,
                  int32_t num_heads, int32_t head_dim, float* means, cudaStream_t stream);

}  // namespace sparsescope::cuda
