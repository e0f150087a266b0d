// Rotary position embedding over (t, h, w): d_h = d_w = 2*floor(D/6), d_t = D - 2*d_h; along an
// axis of dim d the angles are pos * 10000^(-2j/d). Tables are made in double and stored in F32.
#pragma once

#include <ATen/ATen.h>

#include "core/token_grid.h"

namespace sparsescope {

// cos + i*sin of every token's angles, complex64 [S, 1, D/2].
at::Tensor rope_table(const TokenGrid& grid, int64_t head_dim);

// Rotates the pairs (2j, 2j+1) of the last axis; x F32 [B, S, H, D] contiguous, changed in place
// unless its gradient is asked for.
at::Tensor apply_rope(at::Tensor x, const at::Tensor& table);

}  // namespace sparsescope
