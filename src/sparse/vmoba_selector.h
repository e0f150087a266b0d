// VMoBA: each query attends to its own block and to the blocks whose mean key scores best with it,
// gate = q . mean(k in block), chosen by the rule of capture/vmoba_rule.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "derive/plan.h"
#include "kernels/impl.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// Which blocks the queries of one (batch, head) attend to. Queries stand at their layout positions,
// so that the queries of a block are neighbours.
struct VmobaSelection {
  int64_t num_blocks = 0;     // N
  int64_t num_rows = 0;       // S_video
  std::vector<uint8_t> mask;  // [N, S_video]

  bool selected(int64_t block, int64_t position) const {
    return mask[block * num_rows + position] != 0;
  }
};

// One sample: [heads.size()] selections. Pools that span heads span these heads. The layout is that
// of the partition's blocks. Error(kUsage) for parameters that cannot be met.
std::vector<VmobaSelection> select_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                         int64_t batch, std::span<const int64_t> heads,
                                         const TokenLayout& layout, const VmobaParams& params,
                                         Impl impl, ThreadPool& pool);

}  // namespace sparsescope
