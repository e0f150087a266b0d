// Some heads of an attention call, as a call of the dense kernel.
#pragma once

#include <cstdint>

#include "kernels/attention.h"
#include "model/attention_hook.h"

namespace sparsescope {

// Heads [first, first + count) of samples [batch, batch + batches): q, k, v, scale and out; the
// rest is left to the caller.
DenseAttentionParams dense_part(const AttentionCall& call, int64_t batch, int64_t batches,
                                int64_t first, int64_t count);

}  // namespace sparsescope
