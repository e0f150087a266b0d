// VMoBA's selection by definition: gates in fp64, all at once, and the rule on them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "capture/vmoba_rule.h"
#include "core/tensor_view.h"
#include "sparse/row_selection.h"
#include "sparse/token_layout.h"

namespace sparsescope {

std::vector<RowSelection> reference_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                          std::span<const int64_t> heads, const TokenLayout& layout,
                                          const GateRule& rule);

}  // namespace sparsescope
