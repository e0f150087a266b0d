// Rows of one (batch, head) of a strided tensor, widened to fp32.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor_view.h"

namespace sparsescope {

// rows [tokens.size(), D]: row r is token tokens[r].
void gather_rows(const AttentionTensor& x, int64_t batch, int64_t head,
                 std::span<const int32_t> tokens, float* rows);

}  // namespace sparsescope
