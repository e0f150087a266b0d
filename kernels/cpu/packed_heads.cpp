#include "kernels/cpu/packed_heads.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/cpu/workspace.h"

namespace sparsescope::cpu {
namespace {

constexpr int64_t kBudgetFloats = int64_t{64} << 20;   // 256 MiB of packed rows
constexpr int64_t kResidentFloats = int64_t{1} << 18;  // 1 MiB: what the L2 of today's cores keeps
constexpr int64_t kChunk = 256;                        // rows that one work item packs

Element element_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return Element::kF32;
    case Dtype::kBF16:
      return Element::kBF16;
    case Dtype::kF16:
      return Element::kF16;
    default:
      fail(ErrorKind::kInternal, "attention: expected fp32, bf16 or fp16, found {}",
           dtype_name(dtype));
  }
}

// Belongs to the thread that calls the kernels; the workers only write into it.
AlignedBuffer& packed_buffer() {
  thread_local AlignedBuffer buffer;
  return buffer;
}

}  // namespace

int64_t packed_stride(int64_t head_dim) {
  const int64_t stride = (head_dim + 15) / 16 * 16;
  return stride % 128 == 0 ? stride + 16 : stride;
}

TokenRows token_rows(const AttentionTensor& tensor, int64_t head) {
  const int64_t at =
      head / tensor.heads * tensor.stride_batch + head % tensor.heads * tensor.stride_head;
  const int64_t bytes = at * (tensor.dtype == Dtype::kF32 ? 4 : 2);
  return {.data = static_cast<const char*>(tensor.data) + bytes,
          .element = element_of(tensor.dtype),
          .stride = tensor.stride_token};
}

PackedHeads::PackedHeads(const AttentionTensor& k, const AttentionTensor& v,
                         const int32_t* key_order, int64_t num_keys)
    : k_(k),
      v_(v),
      key_order_(key_order),
      num_keys_(num_keys),
      stride_(packed_stride(k.head_dim)) {}

int64_t PackedHeads::max_heads() const {
  return std::max<int64_t>(1, kBudgetFloats / std::max<int64_t>(1, 2 * num_keys_ * stride_));
}

void PackedHeads::pack(const std::vector<int64_t>& heads, ThreadPool& pool,
                       const BlockKernels& kernels) {
  const int64_t per_matrix = num_keys_ * stride_;
  packed_ = packed_buffer().reserve(heads.size() * 2 * per_matrix);
  const int64_t chunks = (num_keys_ + kChunk - 1) / kChunk;
  const auto matrices = static_cast<int64_t>(2 * heads.size());
  pool.parallel_for(matrices * chunks, [&](int64_t item, int) {
    const int64_t matrix = item / chunks;  // 2 * i: K, 2 * i + 1: V
    const int64_t first = item % chunks * kChunk;
    const TokenRows rows = token_rows(matrix % 2 == 0 ? k_ : v_, heads[matrix / 2]);
    kernels.pack_rows(rows, key_order_ + first, std::min(kChunk, num_keys_ - first),
                      static_cast<int32_t>(k_.head_dim),
                      packed_ + matrix * per_matrix + first * stride_, stride_);
  });
}

HeadKeys PackedHeads::head_keys(int64_t i) const {
  const float* k = packed_ + 2 * i * num_keys_ * stride_;
  return {.k = k,
          .v = k + num_keys_ * stride_,
          .stride = stride_,
          .head_dim = static_cast<int32_t>(k_.head_dim),
          .fetch_ahead = 2 * num_keys_ * stride_ > kResidentFloats};
}

}  // namespace sparsescope::cpu
