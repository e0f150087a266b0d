// Copies rows of any element type and stride into the form that the kernels read: 16-bit elements,
// 64 or 128 of them, in the order of a list.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/head_rows.h"

namespace sparsescope::cuda {

// target [num_heads, num_rows, head_dim]: row i of head first_head + h is token order[i] of the
// tensor, or zeros where that is -1; order null: the tokens as they stand. The tensor lies on the
// device; elements behind its own head dim are zero.
template <typename Elem>
void pack_rows(const AttentionTensor& tensor, int32_t first_head, int32_t num_heads,
               const int32_t* order, int64_t num_rows, int32_t head_dim, Elem* target,
               cudaStream_t stream);

}  // namespace sparsescope::cuda
