// The CUDA back end as the rest of the program sees it; no CUDA header is needed to include this.
// Where the program was built without it (kernels/cuda_stub), there is no device and every other
// function throws Error(kNotCompiled).
//
// Tensors and lists lie in host or in device memory, as their own `space` says; lse lies where out
// does. What lies on the host is copied. Work is queued on the default stream of the current
// device, which LibTorch's operators use too; calls whose results lie on the host return when they
// are there. Elements are bf16 or fp16: fp32 inputs are rounded to bf16. D is at most 128, else
// Error(kUnsupported).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

struct DeviceInfo {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
};

struct Devices {
  std::vector<DeviceInfo> usable;  // of compute capability 8.0 and above
  std::string reason;              // why there is none: no CUDA in this build, no driver, ...
};
const Devices& devices();

// Makes it the calling thread's current device. Error(kUnsupported) where there is no such device:
// says what there is.
void use_device(int index);
// Error(kUnsupported) where there is none.
const DeviceInfo& current_device();
// Memory of the current device that the back end holds (DeviceMemory too): now, and at most since
// the count was begun.
int64_t begin_memory_count();  // returns what is held now
int64_t most_memory_held();
// Waits for all that was queued on the current device; an error of a kernel shows here.
void synchronize();

// Which body of a kernel runs: mma.sync and cp.async, or TMA and wgmma (compute capability 9.0).
enum class Body { kSm80, kSm90 };

void dense_attention(const DenseAttentionParams& params, Body body);
// The masses stay on the device; params.sink is not used.
void dense_attention(const DenseAttentionParams& params, Body body, const DeviceMassSink& sink);
void sparse_attention(const SparseAttentionParams& params, Body body);
void sparse_backward(const SparseBackwardParams& params, Body body);

}  // namespace sparsescope::cuda
