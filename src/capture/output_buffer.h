// Floats that a kernel writes where it computes, and that the host reads afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/device.h"
#include "kernels/cuda/device_memory.h"

namespace sparsescope {

class OutputBuffer {
 public:
  OutputBuffer() = default;
  OutputBuffer(int64_t count, MemorySpace space);

  float* data() { return space_ == MemorySpace::kHost ? host_.data() : device(); }
  int64_t size() const { return std::ssize(host_); }
  MemorySpace space() const { return space_; }
  // On the host, as they stand now.
  std::span<const float> fetched();

 private:
  float* device() const { return static_cast<float*>(on_device_.data()); }

  MemorySpace space_ = MemorySpace::kHost;
  std::vector<float> host_;
  cuda::DeviceMemory on_device_;
};

}  // namespace sparsescope
