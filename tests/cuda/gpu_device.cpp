#include "cuda/device_fixture.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope::testing {

void for_each_schedule(const std::function<void()>& body) { body(); }

bool use_compute_capability(int major, int minor) {
  const cuda::DeviceInfo& device = cuda::current_device();
  return device.major == major && device.minor == minor;
}

const char* reason_to_skip() {
  return cuda::devices().usable.empty() ? cuda::devices().reason.c_str() : nullptr;
}

}  // namespace sparsescope::testing
