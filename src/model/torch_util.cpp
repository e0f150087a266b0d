#include "model/torch_util.h"

#include <cstring>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace sparsescope {
namespace {

std::optional<at::ScalarType> stored_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
      return at::kHalf;
    case Dtype::kBF16:
      return at::kBFloat16;
    case Dtype::kF32:
      return at::kFloat;
    case Dtype::kF64:
      return at::kDouble;
    case Dtype::kF8E4M3:
      return at::kFloat8_e4m3fn;
    case Dtype::kF8E5M2:
      return at::kFloat8_e5m2;
    case Dtype::kF8E4M3Fnuz:
      return at::kFloat8_e4m3fnuz;
    case Dtype::kF8E5M2Fnuz:
      return at::kFloat8_e5m2fnuz;
    default:
      return std::nullopt;
  }
}

}  // namespace

at::ScalarType compute_type(Dtype dtype) {
  SPARSESCOPE_ASSERT(dtype == Dtype::kF32 || dtype == Dtype::kBF16 || dtype == Dtype::kF16);
  return *stored_type(dtype);
}

at::Tensor to_torch(const StoredTensor& stored, at::ScalarType type, const std::string& name) {
  const std::optional<at::ScalarType> from = stored_type(stored.dtype);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, from.has_value(),
                    "{}: weights of type {} are not supported; F32, F16, BF16, F64 and fp8 are",
                    name, dtype_file_name(stored.dtype));
  at::Tensor raw = at::empty(stored.shape, at::TensorOptions(*from));
  SPARSESCOPE_ASSERT(raw.nbytes() == stored.bytes);
  if (stored.bytes > 0) std::memcpy(raw.data_ptr(), stored.data, stored.bytes);
  return raw.to(type);
}

at::Tensor view_of(const HostTensor& tensor) {
  // The values are only read: LibTorch has no tensor of const elements.
  return at::from_blob(const_cast<float*>(tensor.values.data()), tensor.shape, at::kFloat);
}

HostTensor to_host(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kFloat).cpu().contiguous();
  const float* data = values.const_data_ptr<float>();
  return {tensor.sizes().vec(), std::vector<float>(data, data + values.numel())};
}

MemorySpace space_of(const at::Tensor& tensor) {
  return tensor.is_cuda() ? MemorySpace::kDevice : MemorySpace::kHost;
}

at::Tensor moved_to(const at::Tensor& tensor, MemorySpace space) {
  if (space_of(tensor) == space) return tensor;
  return tensor.to(space == MemorySpace::kHost ? at::kCPU : at::kCUDA);
}

AttentionTensor attention_view(const at::Tensor& x) {
  const Dtype dtype = x.scalar_type() == at::kFloat      ? Dtype::kF32
                      : x.scalar_type() == at::kBFloat16 ? Dtype::kBF16
                                                         : Dtype::kF16;
  SPARSESCOPE_ASSERT(x.dim() == 4 && x.stride(3) == 1);
  return {.data = x.const_data_ptr(),
          .dtype = dtype,
          .batch = x.size(0),
          .heads = x.size(2),
          .tokens = x.size(1),
          .head_dim = x.size(3),
          .stride_batch = x.stride(0),
          .stride_head = x.stride(2),
          .stride_token = x.stride(1),
          .space = space_of(x)};
}

MutableAttentionTensor attention_output(at::Tensor& x) {
  return {.data = x.data_ptr<float>(),
          .stride_batch = x.stride(0),
          .stride_head = x.stride(2),
          .stride_token = x.stride(1),
          .space = space_of(x)};
}

void rethrow_torch_error(const c10::Error& error) {
  const std::string message = error.what_without_backtrace();
  const bool memory = message.find("can't allocate memory") != std::string::npos ||
                      message.find("not enough memory") != std::string::npos ||
                      message.find("out of memory") != std::string::npos;
  throw Error(memory ? ErrorKind::kResource : ErrorKind::kInternal, message);
}

}  // namespace sparsescope
