// Gives every query that BSA pruned its output: the row of the kept query that stands in for it;
// and the adjoint, which gives every kept query the gradients of all rows that it stands in for.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor_view.h"

namespace sparsescope {

// One (batch, head) of out, whose kept rows are written. restore_from [S_video] as in BsaSelection.
void restore_pruned_rows(std::span<const int32_t> restore_from, int64_t prefix, int64_t batch,
                         int64_t head, int64_t head_dim, const MutableAttentionTensor& out);

// One (batch, head): d_kept[r] = sum over rows u with source r of d_out[u], r itself included; zero
// on pruned rows. Text rows are copied.
void gather_restored_gradients(std::span<const int32_t> restore_from, int64_t prefix, int64_t batch,
                               int64_t head, const AttentionTensor& d_out,
                               const MutableAttentionTensor& d_kept);

}  // namespace sparsescope
