// The oracle of row-wise selection: every video row keeps the K key tiles that hold the most of its
// own dense attention, ties to the lower tile. No other selection of K tiles a row holds more; its
// recall is the profile's coverage_row.
//
// It finds them by dense attention with masses, so that choosing costs more than attending to
// everything: a bound to judge selectors by, which saves no time.
#pragma once

#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "sparse/row_selection.h"
#include "sparse/token_layout.h"
#include "sparse/vsa_selector.h"

namespace sparsescope {

// The selection of each of these heads; layout is that of the tiles. The dense output of the heads
// is left in call.out, for the sparse pass to replace. Error(kUsage) for K outside 1 .. N.
std::vector<RowSelection> select_row_oracle(const AttentionCall& call, const TokenLayout& layout,
                                            std::span<const VsaHead> heads, Impl impl,
                                            ThreadPool& pool);

}  // namespace sparsescope
