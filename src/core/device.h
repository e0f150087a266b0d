// Where a run computes: on the host's processor, or on a CUDA device.
#pragma once

#include <string>
#include <string_view>

namespace sparsescope {

// Where data lie. Device memory is that of the calling thread's current CUDA device.
enum class MemorySpace { kHost, kDevice };

struct Device {
  MemorySpace space = MemorySpace::kHost;
  int index = 0;  // of the CUDA device
  bool is_cuda() const { return space == MemorySpace::kDevice; }
  bool operator==(const Device&) const = default;
};

// "cpu", "cuda" (the first one) or "cuda:<number>"; anything else is Error(kUsage).
Device parse_device(std::string_view text);
std::string to_string(const Device& device);

}  // namespace sparsescope
