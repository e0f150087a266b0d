// The lists of a selection the other way round, built on the device: for every head and range the
// items whose rows take its keys. Their order is that of the head's strands, whatever the threads
// do.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cuda/device_buffer.h"

namespace sparsescope::cuda {

struct RangeItems {
  const int32_t* items = nullptr;           // into SparseSelection::items
  const int64_t* first_of_head = nullptr;   // [B * H] into items
  const int32_t* first_of_range = nullptr;  // [B * H, num_ranges + 1] behind first_of_head
  int64_t num_ranges = 0;

  __device__ const int32_t* of(int32_t head, int32_t range, int32_t& count) const {
    const int32_t* first = first_of_range + head * (num_ranges + 1) + range;
    count = first[1] - first[0];
    return items + first_of_head[head] + first[0];
  }
};

class TransposedLists {
 public:
  // selection: device pointers; heads: H; num_heads: B * H. Waits once for the stream: the host
  // asks how long the lists are.
  TransposedLists(const SparseSelection& selection, int32_t heads, int32_t num_heads,
                  cudaStream_t stream);

  RangeItems view() const;
  bool has_strands(int32_t head) const { return num_strands_[head] > 0; }
  const int32_t* strand_counts() const { return counts_.data(); }  // [B * H] on the device

 private:
  int64_t num_ranges_;
  DeviceBuffer<int32_t> counts_;  // [2, B * H] strands, list entries
  DeviceBuffer<int32_t> items_, first_of_range_;
  DeviceBuffer<int64_t> first_of_head_;
  std::vector<int32_t> num_strands_;  // [B * H]
};

}  // namespace sparsescope::cuda
