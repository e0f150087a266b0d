// From a selection row by row to the kernel's work list.
#pragma once

#include <cstdint>

#include "core/thread_pool.h"
#include "sparse/head_lists.h"
#include "sparse/row_selection.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// The rows of a run of queries that chose a block, block by block; a strand a run.
HeadLists row_head_lists(const TokenLayout& layout, const RowSelection& selection, int64_t batch,
                         int64_t head, ThreadPool& pool);

}  // namespace sparsescope
