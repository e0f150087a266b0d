#include "kernels/cpu/packed_heads.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/cpu/workspace.h"

namespace sparsescope::cpu {
namespace {

constexpr int64_t kBudgetFloats = int64_t{64} << 20;   // 256 MiB of packed rows
constexpr int64_t kResidentFloats = int64_t{1} << 18;  // 1 MiB: what the L2 of today's cores keeps
constexpr int64_t kChunk = 256;  // rows that one work item packs; even, for pairs of keys

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

ForwardKernels forward_kernels(const Isa& isa, const AttentionTensor& q, const AttentionTensor& k,
                               const AttentionTensor& v, float scale) {
  const bool bf16 = q.dtype == Dtype::kBF16 && k.dtype == Dtype::kBF16 && v.dtype == Dtype::kBF16;
  const PairKernels* pairs = bf16 && scale > 0 ? isa.pairs : nullptr;
  return {isa.block, pairs, pairs == nullptr ? isa.block.attend : pairs->attend};
}

PackedHeads::PackedHeads(const AttentionTensor& k, const AttentionTensor& v,
                         const int32_t* key_order, int64_t num_keys, const PairKernels* pairs)
    : k_(k),
      v_(v),
      key_order_(key_order),
      num_keys_(num_keys),
      pairs_(pairs),
      k_stride_(packed_stride(pairs == nullptr ? k.head_dim : (k.head_dim + 1) / 2)),
      v_stride_(packed_stride(k.head_dim)),
      k_floats_(num_keys * k_stride_),
      v_floats_((pairs == nullptr ? num_keys : (num_keys + 1) / 2) * v_stride_) {}

int64_t PackedHeads::max_heads() const {
  return std::max<int64_t>(1, kBudgetFloats / std::max<int64_t>(1, head_floats()));
}

void PackedHeads::pack(const std::vector<int64_t>& heads, ThreadPool& pool,
                       const BlockKernels& kernels) {
  packed_ = packed_buffer().reserve(heads.size() * head_floats());
  const int64_t chunks = (num_keys_ + kChunk - 1) / kChunk;
  const auto matrices = static_cast<int64_t>(2 * heads.size());
  pool.parallel_for(matrices * chunks, [&](int64_t item, int) {
    const int64_t matrix = item / chunks;  // 2 * i: K, 2 * i + 1: V
    const bool is_v = matrix % 2 != 0;
    pack_chunk(is_v, heads[matrix / 2], item % chunks * kChunk,
               packed_ + matrix / 2 * head_floats() + (is_v ? k_floats_ : 0), kernels);
  });
}

// Keys [first, first + kChunk) of one matrix.
void PackedHeads::pack_chunk(bool is_v, int64_t head, int64_t first, float* matrix,
                             const BlockKernels& kernels) const {
  const TokenRows rows = token_rows(is_v ? v_ : k_, head);
  const int32_t* tokens = key_order_ + first;
  const int64_t count = std::min(kChunk, num_keys_ - first);
  const auto head_dim = static_cast<int32_t>(k_.head_dim);
  if (pairs_ == nullptr) {
    kernels.pack_rows(rows, tokens, count, head_dim, matrix + first * k_stride_, k_stride_);
  } else if (is_v) {
    pairs_->pack_key_pairs(rows, tokens, count, head_dim, matrix + first / 2 * v_stride_,
                           v_stride_);
  } else {
    pairs_->pack_channel_pairs(rows, tokens, count, head_dim, matrix + first * k_stride_,
                               k_stride_);
  }
}

HeadKeys PackedHeads::head_keys(int64_t i) const {
  const float* k = packed_ + i * head_floats();
  return {.k = k,
          .v = k + k_floats_,
          .stride = k_stride_,
          .v_stride = v_stride_,
          .head_dim = static_cast<int32_t>(k_.head_dim),
          .fetch_ahead = head_floats() > kResidentFloats};
}

}  // namespace sparsescope::cpu
