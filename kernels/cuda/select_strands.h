// What the lists of all methods end with: a strand for each 64 text rows of a head, against
// everything; strands longest first; the pairs that a head computes. And the sums by which lists
// find their places: no list depends on the order in which threads come.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_layout.h"

namespace sparsescope::cuda {

// offsets [groups, size]: what stands before each count in its group; totals [groups]. extra:
// counts are that much larger.
void scan_counts(const int32_t* counts, int32_t groups, int32_t size, int32_t extra,
                 int64_t* offsets, int64_t* totals);

// Strands in the order of their making: those of a plane behind each other, the text's last.
struct StrandTable {
  SparseStrand* strands = nullptr;  // [planes, of_plane]
  int64_t* pairs = nullptr;         // [planes, of_plane] query-key pairs of each
  int32_t of_plane = 0;             // at most kMaxHeadStrands
};

struct TextStrands {
  SelectPlanes planes;
  SelectLayout layout;
  int32_t heads = 1;  // H
  int32_t* rows =
      nullptr;  // the text's tokens are written from first_row on; null: they stand there
  int32_t* range_ids = nullptr;  // all ranges are written to the front
  SparseItem* items = nullptr;   // written from first_item on, plane by plane
  int64_t first_row = 0, first_item = 0;
  StrandTable table;
};
constexpr int32_t text_strands(int32_t text_tokens) {
  return (text_tokens + kRowLanes - 1) / kRowLanes;
}
void add_text_strands(const TextStrands& call);

// Each plane's strands by pairs descending, then in the order of their making; and the sum of its
// pairs. sorted [planes, of_plane], pairs [planes].
void sort_strands(const StrandTable& table, int32_t num_planes, SparseStrand* sorted,
                  int64_t* pairs);

}  // namespace sparsescope::cuda
