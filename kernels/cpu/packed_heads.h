// K and V of some heads, gathered once into the key order, as fp32 or as words of bf16 pairs.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/cpu_attention.h"

namespace sparsescope::cpu {

// The rows of head `head` = b * H + h.
TokenRows token_rows(const AttentionTensor& tensor, int64_t head);

// Floats of a packed row: whole cache lines, and not a multiple of 512 bytes, because such rows
// would share few sets of the L1 cache where a product walks down a column of them.
int64_t packed_stride(int64_t head_dim);

ForwardKernels forward_kernels(const Isa& isa, const AttentionTensor& q, const AttentionTensor& k,
                               const AttentionTensor& v, float scale);

class PackedHeads {
 public:
  // key_order [num_keys] must outlive the object. pairs: null packs fp32.
  PackedHeads(const AttentionTensor& k, const AttentionTensor& v, const int32_t* key_order,
              int64_t num_keys, const PairKernels* pairs);

  // How many heads to pack at a time, so that the copies stay within a fixed budget.
  int64_t max_heads() const;
  // Replaces what was packed before.
  void pack(const std::vector<int64_t>& heads, ThreadPool& pool, const BlockKernels& kernels);
  // The i-th of the heads packed last.
  HeadKeys head_keys(int64_t i) const;

 private:
  void pack_chunk(bool is_v, int64_t head, int64_t first, float* matrix,
                  const BlockKernels& kernels) const;
  int64_t head_floats() const { return k_floats_ + v_floats_; }

  AttentionTensor k_, v_;
  const int32_t* key_order_;
  int64_t num_keys_;
  const PairKernels* pairs_;
  int64_t k_stride_, v_stride_;  // packed_stride
  int64_t k_floats_, v_floats_;  // of one head
  float* packed_ = nullptr;      // [heads][k, v]
};

}  // namespace sparsescope::cpu
