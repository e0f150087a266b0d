#include "kernels/cuda/head_wave.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "core/error.h"
#include "kernels/cuda/pack_rows.h"

namespace sparsescope::cuda {
namespace {

constexpr int32_t kSmallHeadDim = 64, kLargeHeadDim = 128;
constexpr int64_t kAlignment = 16;  // of a row that a kernel reads

template <typename Tensor>
int64_t head_offset(const Tensor& tensor, int64_t heads, int64_t head) {
  return head / heads * tensor.stride_batch + head % heads * tensor.stride_head;
}

int64_t element_bytes(const AttentionTensor& tensor) { return dtype_bits(tensor.dtype) / 8; }

template <typename Elem>
constexpr Dtype kDtypeOf = std::is_same_v<Elem, __half> ? Dtype::kF16 : Dtype::kBF16;

}  // namespace

int32_t kernel_head_dim(int64_t head_dim) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, head_dim <= kLargeHeadDim,
                    "CUDA attention: expected a head dim of at most {}, found {}", kLargeHeadDim,
                    head_dim);
  return head_dim <= kSmallHeadDim ? kSmallHeadDim : kLargeHeadDim;
}

StagedTensor::StagedTensor(const AttentionTensor& tensor, int32_t max_heads, cudaStream_t stream)
    : tensor_(tensor), stream_(stream), copy_(bytes_per_head(tensor) * max_heads, stream) {}

int64_t StagedTensor::bytes_per_head(const AttentionTensor& tensor) {
  if (tensor.space == MemorySpace::kDevice) return 0;
  return tensor.tokens * tensor.head_dim * element_bytes(tensor);
}

StagedTensor::View StagedTensor::load(HeadRange heads) {
  if (tensor_.space == MemorySpace::kDevice) return {tensor_, heads.first};
  const int64_t bytes = element_bytes(tensor_), row_bytes = tensor_.head_dim * bytes;
  for (int32_t h = 0; h < heads.count; ++h) {
    const auto* from = static_cast<const uint8_t*>(tensor_.data) +
                       head_offset(tensor_, tensor_.heads, heads.first + h) * bytes;
    check_cuda(cudaMemcpy2DAsync(copy_.data() + h * bytes_per_head(tensor_), row_bytes, from,
                                 tensor_.stride_token * bytes, row_bytes, tensor_.tokens,
                                 cudaMemcpyHostToDevice, stream_),
               "copying a head to the device");
  }
  AttentionTensor view = contiguous_attention_tensor(copy_.data(), tensor_.dtype, 1, heads.count,
                                                     tensor_.tokens, tensor_.head_dim);
  view.space = MemorySpace::kDevice;
  return {view, 0};
}

// Whether kernels can read the rows where they lie, or where their copy does.
template <typename Elem>
bool WaveRows<Elem>::fits(const AttentionTensor& tensor) {
  if (tensor.dtype != kDtypeOf<Elem> || tensor.head_dim != kernel_head_dim(tensor.head_dim)) {
    return false;
  }
  if (tensor.space == MemorySpace::kHost) return true;  // its copy is contiguous
  constexpr int64_t kElements = kAlignment / static_cast<int64_t>(sizeof(Elem));
  return reinterpret_cast<uintptr_t>(tensor.data) % kAlignment == 0 &&
         tensor.stride_batch % kElements == 0 && tensor.stride_head % kElements == 0 &&
         tensor.stride_token % kElements == 0;
}

template <typename Elem>
int64_t WaveRows<Elem>::bytes_per_head(const AttentionTensor& tensor, bool ordered,
                                       int64_t num_rows) {
  const int64_t packed =
      num_rows * kernel_head_dim(tensor.head_dim) * static_cast<int64_t>(sizeof(Elem));
  return StagedTensor::bytes_per_head(tensor) + (!ordered && fits(tensor) ? 0 : packed);
}

template <typename Elem>
WaveRows<Elem>::WaveRows(const AttentionTensor& tensor, const int32_t* order, int64_t num_rows,
                         int32_t max_heads, cudaStream_t stream)
    : staged_(tensor, max_heads, stream),
      order_(order),
      num_rows_(num_rows),
      head_dim_(kernel_head_dim(tensor.head_dim)),
      as_it_lies_(order == nullptr && fits(tensor)),
      stream_(stream),
      packed_(as_it_lies_ ? 0 : num_rows * head_dim_ * max_heads, stream) {}

template <typename Elem>
HeadRows<Elem> WaveRows<Elem>::load(HeadRange heads) {
  const auto [tensor, first] = staged_.load(heads);
  if (as_it_lies_) {
    return {.data = static_cast<const Elem*>(tensor.data),
            .heads = static_cast<int32_t>(tensor.heads),
            .stride_batch = tensor.stride_batch,
            .stride_head = tensor.stride_head,
            .stride_row = tensor.stride_token,
            .first_head = heads.first - first};
  }
  pack_rows(tensor, first, heads.count, order_, num_rows_, head_dim_, packed_.data(), stream_);
  return {.data = packed_.data(),
          .heads = heads.count,
          .stride_head = num_rows_ * head_dim_,
          .stride_row = head_dim_,
          .first_head = heads.first};
}

template class WaveRows<__nv_bfloat16>;
template class WaveRows<__half>;

WaveOutput::WaveOutput(const AttentionTensor& like, const MutableAttentionTensor& out, float* lse,
                       int32_t max_heads, cudaStream_t stream)
    : like_(like), out_(out), lse_(lse), stream_(stream) {
  if (out.space == MemorySpace::kDevice) return;
  out_copy_ = DeviceBuffer<float>(max_heads * like.tokens * like.head_dim, stream);
  if (lse != nullptr) lse_copy_ = DeviceBuffer<float>(max_heads * like.tokens, stream);
}

int64_t WaveOutput::bytes_per_head(const AttentionTensor& like, const MutableAttentionTensor& out) {
  if (out.space == MemorySpace::kDevice) return 0;
  return like.tokens * (like.head_dim + 1) * static_cast<int64_t>(sizeof(float));
}

HeadOutput WaveOutput::target(HeadRange heads) {
  HeadOutput output{.heads = static_cast<int32_t>(like_.heads),
                    .head_dim = static_cast<int32_t>(like_.head_dim),
                    .tokens = like_.tokens};
  if (out_.space == MemorySpace::kDevice) {
    output.data = out_.data;
    output.lse = lse_;
    output.stride_batch = out_.stride_batch;
    output.stride_head = out_.stride_head;
    output.stride_token = out_.stride_token;
    return output;
  }
  output.data = out_copy_.data();
  output.lse = lse_copy_.data();
  output.heads = heads.count;
  output.stride_head = like_.tokens * like_.head_dim;
  output.stride_token = like_.head_dim;
  output.first_head = heads.first;
  return output;
}

void WaveOutput::load(HeadRange heads) {
  if (out_.space == MemorySpace::kDevice) return;
  const size_t row_bytes = like_.head_dim * sizeof(float);
  for (int32_t h = 0; h < heads.count; ++h) {
    check_cuda(cudaMemcpy2DAsync(out_copy_.data() + h * like_.tokens * like_.head_dim, row_bytes,
                                 out_.data + head_offset(out_, like_.heads, heads.first + h),
                                 out_.stride_token * sizeof(float), row_bytes, like_.tokens,
                                 cudaMemcpyHostToDevice, stream_),
               "copying a head to the device");
  }
  if (lse_ == nullptr) return;
  check_cuda(
      cudaMemcpyAsync(lse_copy_.data(), lse_ + heads.first * like_.tokens,
                      heads.count * like_.tokens * sizeof(float), cudaMemcpyHostToDevice, stream_),
      "copying lse to the device");
}

void WaveOutput::deliver(HeadRange heads) {
  if (out_.space == MemorySpace::kDevice) return;
  const size_t row_bytes = like_.head_dim * sizeof(float);
  for (int32_t h = 0; h < heads.count; ++h) {
    check_cuda(cudaMemcpy2DAsync(out_.data + head_offset(out_, like_.heads, heads.first + h),
                                 out_.stride_token * sizeof(float),
                                 out_copy_.data() + h * like_.tokens * like_.head_dim, row_bytes,
                                 row_bytes, like_.tokens, cudaMemcpyDeviceToHost, stream_),
               "copying a head to the host");
  }
  if (lse_ != nullptr) {
    check_cuda(cudaMemcpyAsync(lse_ + heads.first * like_.tokens, lse_copy_.data(),
                               heads.count * like_.tokens * sizeof(float), cudaMemcpyDeviceToHost,
                               stream_),
               "copying lse to the host");
  }
  check_cuda(cudaStreamSynchronize(stream_), "waiting for the device");
}

}  // namespace sparsescope::cuda
