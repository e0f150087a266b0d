#include "capture/output_buffer.h"

namespace sparsescope {

OutputBuffer::OutputBuffer(int64_t count, MemorySpace space) : space_(space), host_(count) {
  if (space == MemorySpace::kDevice) {
    on_device_ = cuda::DeviceMemory(count * static_cast<int64_t>(sizeof(float)));
  }
}

std::span<const float> OutputBuffer::fetched() {
  if (space_ == MemorySpace::kDevice) {
    cuda::copy_to_host(host_.data(), device(), size() * static_cast<int64_t>(sizeof(float)));
  }
  return host_;
}

}  // namespace sparsescope
