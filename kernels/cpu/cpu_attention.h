// The drivers of the cpu back end: they share the work out, own the memory, and leave the
// arithmetic to one ISA's block kernels.
#pragma once

#include "kernels/attention.h"
#include "kernels/cpu/block_kernels.h"

namespace sparsescope::cpu {

// What one implementation computes with.
struct Isa {
  const BlockKernels& block;
  const PairKernels* pairs = nullptr;  // null where the processor has no bf16 dot product
};

// What the forward pass of one call computes with, chosen once by its inputs.
struct ForwardKernels {
  const BlockKernels& block;
  const PairKernels* pairs;  // of bf16 throughout, and a scale that keeps the order of the scores;
                             // else null: fp32, to which other inputs are widened
  const AttendKernels& attend;
};

void dense_attention(const DenseAttentionParams& params, ThreadPool& pool, const Isa& isa);
void sparse_attention(const SparseAttentionParams& params, ThreadPool& pool, const Isa& isa);
void sparse_backward(const SparseBackwardParams& params, ThreadPool& pool,
                     const BlockKernels& kernels);

}  // namespace sparsescope::cpu
