// What the drivers of the sparse kernels share, and these themselves, with the device memory that a
// call may take beside its tensors and lists.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>

#include "kernels/attention.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/head_wave.h"
#include "kernels/cuda/strand_lists.h"

namespace sparsescope::cuda {

// Packed rows and sums of a wave of heads. At least one head is worked on at a time.
inline constexpr int64_t kWaveBytes = int64_t{512} << 20;

void run_sparse_attention(const SparseAttentionParams& params, int64_t wave_bytes,
                          Body body = Body::kSm80);
void run_sparse_backward(const SparseBackwardParams& params, int64_t wave_bytes,
                         Body body = Body::kSm80);

// Heads of a wave whose buffers take bytes_per_head each.
int32_t heads_per_wave(int64_t wave_bytes, int64_t bytes_per_head, int64_t heads);

// Thread blocks that a launch shares its strands out to: more than the device holds at once.
int32_t max_strand_blocks();

// Whether the elements of the products are fp16; else they are bf16.
bool all_f16(std::initializer_list<AttentionTensor> tensors);

// The strands of a wave of heads, by tile height.
class WaveStrands {
 public:
  // selection: device pointers; heads: H
  WaveStrands(const SparseSelection& selection, int32_t heads, cudaStream_t stream);

  // Finds the wave's strands, none of them taken yet. Valid until the next call.
  void find(HeadRange heads, StrandQueue (&queues)[kNumHeights]);

 private:
  const SparseSelection& selection_;
  int32_t heads_;
  cudaStream_t stream_;
  DeviceBuffer<int32_t> strands_;   // [kNumHeights, num_strands]
  DeviceBuffer<int32_t> counters_;  // [2, kNumHeights] strands, those taken
};

}  // namespace sparsescope::cuda
