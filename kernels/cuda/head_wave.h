// A wave is a run of heads that the device holds in the kernels' form at one time. Here tensors of
// any space, element type and stride become rows that kernels read, and results go back.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda {

struct HeadRange {
  int32_t first = 0, count = 0;  // b * H + h
};

// 64 or 128. Error(kUnsupported) above that.
int32_t kernel_head_dim(int64_t head_dim);

// Copies of host tensors, a wave at a time; device tensors are taken as they are.
class StagedTensor {
 public:
  StagedTensor(const AttentionTensor& tensor, int32_t max_heads, cudaStream_t stream);

  // The heads on the device; their first one has number first_head in the view.
  struct View {
    AttentionTensor tensor;
    int32_t first_head = 0;
  };
  // What an earlier call gave is overwritten.
  View load(HeadRange heads);
  static int64_t bytes_per_head(const AttentionTensor& tensor);

 private:
  AttentionTensor tensor_;
  cudaStream_t stream_;
  DeviceBuffer<uint8_t> copy_;  // [max_heads, S, D]
};

// A tensor's heads as rows of Elem: packed by a list of tokens, or as they lie where that will do.
template <typename Elem>
class WaveRows {
 public:
  // order [num_rows] on the device, -1: a row of zeros; null: the tokens as they stand.
  WaveRows(const AttentionTensor& tensor, const int32_t* order, int64_t num_rows, int32_t max_heads,
           cudaStream_t stream);

  HeadRows<Elem> load(HeadRange heads);
  static int64_t bytes_per_head(const AttentionTensor& tensor, bool ordered, int64_t num_rows);

 private:
  static bool fits(const AttentionTensor& tensor);

  StagedTensor staged_;
  const int32_t* order_;
  int64_t num_rows_;
  int32_t head_dim_;
  bool as_it_lies_;
  cudaStream_t stream_;
  DeviceBuffer<Elem> packed_;  // [max_heads, num_rows, head_dim]
};

// Where kernels write a wave's results, and the way to the host if they belong there.
class WaveOutput {
 public:
  // like: for the extents. lse: null or in the space of out.
  WaveOutput(const AttentionTensor& like, const MutableAttentionTensor& out, float* lse,
             int32_t max_heads, cudaStream_t stream);

  HeadOutput target(HeadRange heads);
  // Lets the target begin as what the host holds: for kernels that leave rows as they are.
  void load(HeadRange heads);
  // Once the kernels are queued; waits for them where results go to the host.
  void deliver(HeadRange heads);
  static int64_t bytes_per_head(const AttentionTensor& like, const MutableAttentionTensor& out);

 private:
  AttentionTensor like_;
  MutableAttentionTensor out_;
  float* lse_;
  cudaStream_t stream_;
  DeviceBuffer<float> out_copy_, lse_copy_;  // [max_heads, S, D], [max_heads, S]
};

}  // namespace sparsescope::cuda
