// What the backward pass knows of each row before it meets a key, and the rows that it clears.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda {

// dS = exp2(score - lse) * (dP - delta), scores in log2 units.
struct RowTerms {
  float lse;    // log2 units; +infinity for a row without keys, whose probabilities are 0
  float delta;  // d_out . out
};

// terms [num_heads, S] of heads from first_head on. out: on the device, its head 0 is out_head;
// lse [B, H, S] on the device; d_out: by token, as the products see it.
template <typename Elem>
void make_row_terms(const HeadRows<Elem>& d_out, const AttentionTensor& out, int32_t out_head,
                    const float* lse, int32_t first_head, int32_t num_heads, RowTerms* terms,
                    cudaStream_t stream);

// Zeros in every row of the heads that have a strand. strand_counts [B * H]
void clear_rows(const HeadOutput& output, int32_t first_head, int32_t num_heads,
                const int32_t* strand_counts, cudaStream_t stream);

}  // namespace sparsescope::cuda
