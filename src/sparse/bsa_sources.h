// Which kept slot of its tile a pruned query of BSA takes its output from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/impl.h"
#include "sparse/bsa_options.h"

namespace sparsescope {

struct SourceScratch {
  std::vector<int32_t> pruned;                // slots
  std::vector<float> kept_rows, pruned_rows;  // [kept, D], [pruned, D]
  std::vector<float> cosines, panel;          // [kept, pruned]
  std::vector<int32_t> best_at;               // [pruned]
};

// sources [n]: the kept slot whose output each slot takes (itself where kept), -1 for none.
// unit_rows [n, D], the queries at length 1, are needed by kSimilar only; ties go to the lower
// slot. reference [n] as in QueryWindows.
void find_sources(Impl impl, std::span<const float> unit_rows, std::span<const int32_t> kept,
                  std::span<const int32_t> reference, BsaRestore rule, SourceScratch& scratch,
                  std::span<int32_t> sources);

}  // namespace sparsescope
