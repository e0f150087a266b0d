// VMoBA: each query attends to its own block and to the blocks whose mean key scores best with it,
// gate = q . mean(k in block), chosen by the rule of capture/vmoba_rule.h.
//
// Nothing grows with S * N but a bit for each entry: gates are made 64 queries at a time, and kept
// only where those of a pool fit kGateCacheBytes. Results do not depend on that, nor on threads.
// Impl::kReference computes gates in fp64 and applies the rule's definition to all of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "sparse/row_selection.h"
#include "sparse/token_layout.h"
#include "sparse/vmoba_options.h"

namespace sparsescope {

// Error(kUsage) for parameters that cannot be met.
void check_vmoba_options(const VmobaOptions& options);

// [B, heads.size()] selections of all samples. Pools that span heads span these heads. The layout
// is that of the partition's blocks. Error(kUsage) for parameters that cannot be met,
// Error(kUnsupported) where compat would attend blocks of another sample.
std::vector<RowSelection> select_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                       std::span<const int64_t> heads, const TokenLayout& layout,
                                       const VmobaOptions& options, Impl impl, ThreadPool& pool);

}  // namespace sparsescope
