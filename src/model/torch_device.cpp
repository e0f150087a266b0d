#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include "core/error.h"
#include "model/torch_backend.h"
#include "model/torch_util.h"

namespace sparsescope {
namespace {

// LibTorch's CUDA operators register themselves when their library is loaded. Linking it would make
// the program need gigabytes of libraries that a machine without a GPU has no use for.
void load_cuda_operators() {
  static const std::string failure = [] {
    const bool loaded = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
    return loaded ? std::string() : std::string(dlerror());
  }();
  SPARSESCOPE_CHECK(
      ErrorKind::kUnsupported, failure.empty(),
      "LibTorch cannot compute on a GPU here: {}; scripts/setup.sh --gpu installs what "
      "it needs",
      failure);
}

}  // namespace

at::Device torch_device(const Device& device) {
  if (!device.is_cuda()) return at::kCPU;
  load_cuda_operators();
  return with_torch_errors([&]() -> at::Device {
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    const int count = guard.deviceCount();
    SPARSESCOPE_CHECK(ErrorKind::kUnsupported, device.index < count,
                      "{}: LibTorch finds {} CUDA devices", to_string(device), count);
    const at::Device result(at::kCUDA, static_cast<c10::DeviceIndex>(device.index));
    guard.setDevice(result);
    return result;
  });
}

std::string why_no_torch_device(const Device& device) {
  try {
    torch_device(device);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

int64_t default_weight_bound(const Device& device) {
  if (!device.is_cuda()) return 0;
  constexpr double kShareOfFreeMemory = 0.6;
  const at::Device on = torch_device(device);
  return with_torch_errors([&] {
    const auto [available, total] = c10::getDeviceAllocator(on.type())->getMemoryInfo(on.index());
    return static_cast<int64_t>(kShareOfFreeMemory * static_cast<double>(available));
  });
}

}  // namespace sparsescope
