// Products of queries of 16-bit elements with the fp32 means of key blocks, by mma: each mean is
// taken apart into three elements, which hold all of its 24 bits, so that gates differ from fp32
// products by the order of the sums alone.
#pragma once

#include "core/tensor_view.h"
#include "kernels/cuda/select_scores.h"

namespace sparsescope::cuda {

// Whether they can be had so: 16-bit rows that are aligned to 16 bytes, D 64 or 128.
bool gates_by_mma(const AttentionTensor& q);
// tile_scores for rows of such a tensor.
void tile_gates(const TileScores& call);

}  // namespace sparsescope::cuda
