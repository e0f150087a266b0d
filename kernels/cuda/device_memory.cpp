#include "kernels/cuda/device_memory.h"

#include "core/error.h"
#include "kernels/cuda/check.h"

namespace sparsescope::cuda {
namespace {

void copy(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, const char* what) {
  if (bytes == 0) return;
  check_cuda(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, nullptr), what);
  check_cuda(cudaStreamSynchronize(nullptr), what);
}

}  // namespace

DeviceMemory::DeviceMemory(int64_t bytes) {
  if (bytes == 0) return;
  const cudaError_t result = cudaMallocAsync(&data_, static_cast<size_t>(bytes), nullptr);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail(ErrorKind::kResource, "device memory: {} bytes are needed, and there are fewer", bytes);
  }
  check_cuda(result, "allocating device memory");
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) cudaFreeAsync(data_, nullptr);
}

void clear_device(void* device, int64_t bytes) {
  if (bytes == 0) return;
  check_cuda(cudaMemsetAsync(device, 0, static_cast<size_t>(bytes), nullptr),
             "clearing device memory");
}

void copy_to_device(void* device, const void* host, int64_t bytes) {
  copy(device, host, bytes, cudaMemcpyHostToDevice, "copying to the device");
}

void stage_to_device(void* device, const void* host, int64_t bytes) {
  if (bytes == 0) return;
  check_cuda(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                             nullptr),
             "copying to the device");
}

void copy_to_host(void* host, const void* device, int64_t bytes) {
  copy(host, device, bytes, cudaMemcpyDeviceToHost, "copying from the device");
}

}  // namespace sparsescope::cuda
