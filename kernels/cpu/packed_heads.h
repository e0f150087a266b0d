// K and V of some heads, gathered once into the key order as fp32.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/block_kernels.h"

namespace sparsescope::cpu {

// The rows of head `head` = b * H + h.
TokenRows token_rows(const AttentionTensor& tensor, int64_t head);

// Floats of a packed row: whole cache lines, and not a multiple of 512 bytes, because such rows
// would share few sets of the L1 cache where a product walks down a column of them.
int64_t packed_stride(int64_t head_dim);

class PackedHeads {
 public:
  // key_order [num_keys] must outlive the object.
  PackedHeads(const AttentionTensor& k, const AttentionTensor& v, const int32_t* key_order,
              int64_t num_keys);

  // How many heads to pack at a time, so that the copies stay within a fixed budget.
  int64_t max_heads() const;
  // Replaces what was packed before.
  void pack(const std::vector<int64_t>& heads, ThreadPool& pool, const BlockKernels& kernels);
  // The i-th of the heads packed last.
  HeadKeys head_keys(int64_t i) const;

 private:
  AttentionTensor k_, v_;
  const int32_t* key_order_;
  int64_t num_keys_;
  int64_t stride_;           // packed_stride
  float* packed_ = nullptr;  // [heads][k, v][num_keys, stride]
};

}  // namespace sparsescope::cpu
