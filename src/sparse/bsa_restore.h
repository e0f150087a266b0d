// Gives every query that BSA pruned its output: the row of the kept query that stands in for it.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor_view.h"

namespace sparsescope {

// One (batch, head) of out, whose kept rows are written. restore_from [S_video] as in BsaSelection.
void restore_pruned_rows(std::span<const int32_t> restore_from, int64_t prefix, int64_t batch,
                         int64_t head, int64_t head_dim, const MutableAttentionTensor& out);

}  // namespace sparsescope
