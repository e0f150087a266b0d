// From the key blocks that each query selected (VMoBA) to the kernel's work list. A strand takes a
// run of neighbouring queries: for each key block those that chose it, ascending, in items of at
// most 64, and the text behind them.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_layout.h"
#include "kernels/cuda/select_strands.h"

namespace sparsescope::cuda {

// Queries of a run: as many as a block's rows need to fill items well, but not more than leave four
// strands to each multiprocessor of a large GPU, or than fit in shared memory as bit rows. Depends
// on nothing but these numbers.
int32_t run_rows(int32_t num_planes, int32_t video_tokens, int32_t num_tiles);

struct RowLists {
  SelectPlanes planes;
  SelectLayout layout;
  int32_t heads = 1;               // H
  const uint32_t* mask = nullptr;  // bit rows [planes, video_tokens]
  int32_t run_rows = 0, num_runs = 0;
  // As scan_counts finds them of the counts: where the rows and items of a run begin within their
  // plane, [2, planes, runs], and how many a plane has, [2, planes].
  const int64_t* run_first = nullptr;
  const int64_t* plane_sizes = nullptr;
  int32_t* rows = nullptr;
  SparseItem* items = nullptr;
  int32_t* range_ids = nullptr;  // [num_ranges] every range its own number
  StrandTable table;             // the first num_runs strands of each plane are written
};
// counts [2, planes, runs] of rows and items.
void count_row_lists(const RowLists& call, int32_t* counts);
void fill_row_lists(const RowLists& call);

}  // namespace sparsescope::cuda
