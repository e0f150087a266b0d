#include "capture/host_call.h"

#include "kernels/cuda/device_memory.h"

namespace sparsescope {

namespace {

// From the first element to the last one, strides and all.
template <typename Tensor>
int64_t spanned_elements(const Tensor& tensor, const AttentionTensor& extents) {
  return (extents.batch - 1) * tensor.stride_batch + (extents.heads - 1) * tensor.stride_head +
         (extents.tokens - 1) * tensor.stride_token + extents.head_dim;
}

}  // namespace

HostCall::HostCall(const AttentionCall& call) : call_(call) {
  for (AttentionTensor* tensor : {&call_.q, &call_.k, &call_.v}) fetch(*tensor);
}

void HostCall::fetch(AttentionTensor& tensor) {
  if (tensor.space == MemorySpace::kHost || tensor.tokens == 0) return;
  std::vector<uint8_t>& copy =
      copies_.emplace_back(spanned_elements(tensor, tensor) * dtype_bits(tensor.dtype) / 8);
  cuda::copy_to_host(copy.data(), tensor.data, std::ssize(copy));
  tensor.data = copy.data();
  tensor.space = MemorySpace::kHost;
}

HostOutput::HostOutput(const AttentionCall& call) : out_(call.out) {
  if (out_.space == MemorySpace::kHost || call.q.tokens == 0) return;
  copy_.resize(spanned_elements(out_, call.q));
  cuda::copy_to_host(copy_.data(), out_.data,
                     std::ssize(copy_) * static_cast<int64_t>(sizeof(float)));
  out_.data = copy_.data();
  out_.space = MemorySpace::kHost;
}

}  // namespace sparsescope
