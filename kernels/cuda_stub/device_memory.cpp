#include "kernels/cuda/device_memory.h"

#include "kernels/cuda_stub/not_compiled.h"

namespace sparsescope::cuda {

DeviceMemory::DeviceMemory(int64_t) { fail_not_compiled(); }
DeviceMemory::~DeviceMemory() = default;
void clear_device(void*, int64_t) { fail_not_compiled(); }
void copy_to_device(void*, const void*, int64_t) { fail_not_compiled(); }
void stage_to_device(void*, const void*, int64_t) { fail_not_compiled(); }
void copy_to_host(void*, const void*, int64_t) { fail_not_compiled(); }

}  // namespace sparsescope::cuda
