// From VMoBA's selection to the kernel's work list.
#pragma once

#include <cstdint>

#include "core/thread_pool.h"
#include "sparse/head_lists.h"
#include "sparse/token_layout.h"
#include "sparse/vmoba_selector.h"

namespace sparsescope {

// The rows of a run of queries that chose a block, block by block; a strand a run.
HeadLists vmoba_head_lists(const TokenLayout& layout, const VmobaSelection& selection,
                           int64_t batch, int64_t head, ThreadPool& pool);

}  // namespace sparsescope
