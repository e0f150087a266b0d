// Memory of the current GPU for callers without CUDA's headers. Copies wait until they are done, and
// for what was queued before. Error(kResource) where there is not enough memory.
#pragma once

#include <cstdint>
#include <utility>

namespace sparsescope::cuda {

class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(int64_t bytes);  // unset
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

void clear_device(void* device, int64_t bytes);  // queued
void copy_to_device(void* device, const void* host, int64_t bytes);
// From pageable memory, which has been read when the call returns; does not wait for the device.
void stage_to_device(void* device, const void* host, int64_t bytes);
void copy_to_host(void* host, const void* device, int64_t bytes);

}  // namespace sparsescope::cuda
