// Masses of all sampled rows of a call on the blocks of partitions, a chunk of heads and rows at a
// time.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>

#include "core/tensor_view.h"
#include "kernels/cuda/gate_reduction.h"

namespace sparsescope::cuda {

struct SampledCall {
  AttentionTensor q, k;        // [1, H, S, D] on the device
  const float* lse = nullptr;  // [H, S] on the device, natural log
  float scale = 1.0f;
  int32_t max_heads = 1;  // of a chunk
  int64_t max_bytes = 0;  // of a chunk's masses, but for one head and 64 rows at least
};

// Calls consume once a chunk is queued; its masses die when the work queued by the call is done.
void for_mass_chunks(const SampledCall& call, const GateTables& tables, cudaStream_t stream,
                     const std::function<void(const BlockMassChunk&)>& consume);

}  // namespace sparsescope::cuda
