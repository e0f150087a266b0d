// Elements in device memory that free themselves, for callers without CUDA's headers.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/device_memory.h"

namespace sparsescope::cuda {

template <typename T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(int64_t count) : memory_(count * kBytes), size_(count) {}  // unset
  static DeviceArray zeros(int64_t count) {
    DeviceArray array(count);
    clear_device(array.data(), count * kBytes);
    return array;
  }
  explicit DeviceArray(const std::vector<T>& host)
      : DeviceArray(static_cast<int64_t>(host.size())) {
    stage_to_device(data(), host.data(), size_ * kBytes);
  }

  T* data() { return static_cast<T*>(memory_.data()); }
  const T* data() const { return static_cast<const T*>(memory_.data()); }
  int64_t size() const { return size_; }
  std::vector<T> to_host() const {
    std::vector<T> host(size_);
    copy_to_host(host.data(), data(), size_ * kBytes);
    return host;
  }

 private:
  static constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
  DeviceMemory memory_;
  int64_t size_ = 0;
};

}  // namespace sparsescope::cuda
