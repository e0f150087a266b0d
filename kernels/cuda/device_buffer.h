// Device memory that frees itself, in the order of its stream.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cuda/check.h"

namespace sparsescope::cuda {

template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  // count elements, unset. Error(kResource) where the device has not that much.
  DeviceBuffer(int64_t count, cudaStream_t stream) : size_(count), stream_(stream) {
    if (count == 0) return;
    void* memory = nullptr;
    check_cuda(cudaMallocAsync(&memory, count * sizeof(T), stream), "allocating device memory");
    data_ = static_cast<T*>(memory);
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) cudaFreeAsync(data_, stream_);
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        stream_(other.stream_) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(stream_, other.stream_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }

  void fill_zero() {
    if (size_ > 0) {
      check_cuda(cudaMemsetAsync(data_, 0, size_ * sizeof(T), stream_), "clearing device memory");
    }
  }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
  cudaStream_t stream_ = nullptr;
};

// A copy of host values. They may be changed once the call returns: pageable memory is staged
// first.
template <typename T>
DeviceBuffer<T> to_device(std::span<const T> values, cudaStream_t stream) {
  DeviceBuffer<T> buffer(static_cast<int64_t>(values.size()), stream);
  if (!values.empty()) {
    check_cuda(cudaMemcpyAsync(buffer.data(), values.data(), values.size_bytes(),
                               cudaMemcpyHostToDevice, stream),
               "copying to the device");
  }
  return buffer;
}
template <typename T>
DeviceBuffer<T> to_device(const std::vector<T>& values, cudaStream_t stream) {
  return to_device(std::span<const T>(values), stream);
}

// Waits for the stream.
template <typename T>
void to_host(const T* device, std::span<T> values, cudaStream_t stream) {
  if (values.empty()) return;
  check_cuda(
      cudaMemcpyAsync(values.data(), device, values.size_bytes(), cudaMemcpyDeviceToHost, stream),
      "copying from the device");
  check_cuda(cudaStreamSynchronize(stream), "waiting for the device");
}
template <typename T>
std::vector<T> to_host(const DeviceBuffer<T>& buffer, cudaStream_t stream) {
  std::vector<T> values(buffer.size());
  to_host(buffer.data(), std::span<T>(values), stream);
  return values;
}

}  // namespace sparsescope::cuda
