// The border between LibTorch and the rest of the program: stored tensors, host tensors and
// attention views to and from at::Tensor, and LibTorch's exceptions as ours.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "checkpoint/safetensors.h"
#include "core/dtype.h"
#include "core/host_tensor.h"
#include "core/tensor_view.h"

namespace sparsescope {

// kF32, kBF16 or kF16.
at::ScalarType compute_type(Dtype dtype);

// Where LibTorch is to compute. For a GPU LibTorch's CUDA libraries are loaded, on the first call:
// Error(kUnsupported) where they, a driver or the device are missing.
at::Device torch_device(const Device& device);

// Bytes of weights that a run without --max-memory keeps: what leaves room for activations on a
// GPU; 0 for the host, without a bound.
int64_t default_weight_bound(const Device& device);

// A copy of a stored floating tensor in type. Error(kUnsupported) for other stored types.
at::Tensor to_torch(const StoredTensor& stored, at::ScalarType type, const std::string& name);

at::Tensor view_of(const HostTensor& tensor);  // shares the values
HostTensor to_host(const at::Tensor& tensor);  // fp32 copy

MemorySpace space_of(const at::Tensor& tensor);
// The tensor itself, or a copy where it lies elsewhere.
at::Tensor moved_to(const at::Tensor& tensor, MemorySpace space);

// x [B, S, H, D] in memory, seen as [B, H, S, D].
AttentionTensor attention_view(const at::Tensor& x);
MutableAttentionTensor attention_output(at::Tensor& x);

// Rethrows an exception of LibTorch as Error: memory as kResource, the rest as kInternal.
[[noreturn]] void rethrow_torch_error(const c10::Error& error);

template <typename Body>
auto with_torch_errors(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const c10::Error& error) {
    rethrow_torch_error(error);
  }
}

}  // namespace sparsescope
