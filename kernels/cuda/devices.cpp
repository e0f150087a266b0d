#include <cuda_runtime.h>
#include <fmt/format.h>

#include "core/error.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope::cuda {
namespace {

constexpr int kOldestMajor = 8;

Devices find_devices() {
  Devices found;
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result != cudaSuccess) {
    cudaGetLastError();
    int driver = 0;
    cudaDriverGetVersion(&driver);  // 0: there is none, which the first call reports as too old
    found.reason = driver == 0 ? std::string("this machine has no NVIDIA driver")
                               : fmt::format("no GPU can be used: {}", cudaGetErrorString(result));
    return found;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check_cuda(cudaGetDeviceProperties(&properties, i), "reading a device's properties");
    if (properties.major < kOldestMajor) {
      found.reason = fmt::format("{} has compute capability {}.{}, 8.0 is needed", properties.name,
                                 properties.major, properties.minor);
      continue;
    }
    found.usable.push_back({.index = i,
                            .name = properties.name,
                            .major = properties.major,
                            .minor = properties.minor,
                            .multiprocessors = properties.multiProcessorCount,
                            .memory_bytes = static_cast<int64_t>(properties.totalGlobalMem)});
  }
  if (!found.usable.empty()) {
    found.reason.clear();
  } else if (count == 0) {
    found.reason = "this machine has no GPU";
  }
  return found;
}

}  // namespace

const Devices& devices() {
  static const Devices found = find_devices();
  return found;
}

namespace {

const DeviceInfo& device_info(int index) {
  for (const DeviceInfo& device : devices().usable) {
    if (device.index == index) return device;
  }
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, !devices().usable.empty(), "cuda:{}: {}", index,
                    devices().reason);
  std::string known;
  for (const DeviceInfo& device : devices().usable) {
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", device.index, device.name);
  }
  fail(ErrorKind::kUnsupported, "cuda:{}: expected one of {}", index, known);
}

}  // namespace

namespace {

// Where DeviceBuffer allocates.
cudaMemPool_t memory_pool() {
  cudaMemPool_t pool = nullptr;
  check_cuda(cudaDeviceGetDefaultMemPool(&pool, current_device().index), "finding a memory pool");
  return pool;
}

int64_t pool_bytes(cudaMemPoolAttr attribute) {
  uint64_t bytes = 0;
  check_cuda(cudaMemPoolGetAttribute(memory_pool(), attribute, &bytes), "reading a memory count");
  return static_cast<int64_t>(bytes);
}

}  // namespace

void use_device(int index) {
  check_cuda(cudaSetDevice(device_info(index).index), "choosing a device");
  // By default freed memory goes back to the driver at every synchronisation, and the next call
  // pays for it anew.
  uint64_t keep_all = ~uint64_t{0};
  check_cuda(cudaMemPoolSetAttribute(memory_pool(), cudaMemPoolAttrReleaseThreshold, &keep_all),
             "keeping freed device memory");
}

int64_t begin_memory_count() {
  uint64_t zero = 0;
  check_cuda(cudaMemPoolSetAttribute(memory_pool(), cudaMemPoolAttrUsedMemHigh, &zero),
             "beginning a memory count");
  return pool_bytes(cudaMemPoolAttrUsedMemCurrent);
}

int64_t most_memory_held() { return pool_bytes(cudaMemPoolAttrUsedMemHigh); }

const DeviceInfo& current_device() {
  int index = 0;
  if (!devices().usable.empty()) check_cuda(cudaGetDevice(&index), "reading the current device");
  return device_info(index);
}

void synchronize() { check_cuda(cudaDeviceSynchronize(), "waiting for the device"); }

}  // namespace sparsescope::cuda
