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

#include "core/row_groups.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "sparse/token_layout.h"
#include "sparse/vmoba_options.h"

namespace sparsescope {

// Which blocks the queries of one (batch, head) attend to. Queries stand at their layout positions,
// so that the queries of a block are neighbours.
struct VmobaSelection {
  int64_t num_blocks = 0;      // N
  int64_t num_rows = 0;        // S_video
  std::vector<uint64_t> bits;  // [ceil(S_video / 64), N] bit r of word w: position 64 * w + r

  VmobaSelection() = default;
  VmobaSelection(int64_t blocks, int64_t rows)
      : num_blocks(blocks), num_rows(rows), bits((rows + kRowLanes - 1) / kRowLanes * blocks) {}
  bool selected(int64_t block, int64_t position) const {
    return (bits[position / kRowLanes * num_blocks + block] >> (position % kRowLanes) & 1) != 0;
  }
  void select(int64_t block, int64_t position) {
    bits[position / kRowLanes * num_blocks + block] |= uint64_t{1} << (position % kRowLanes);
  }
};

// [B, heads.size()] selections of all samples. Pools that span heads span these heads. The layout
// is that of the partition's blocks. Error(kUsage) for parameters that cannot be met,
// Error(kUnsupported) where compat would attend blocks of another sample.
std::vector<VmobaSelection> select_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                         std::span<const int64_t> heads, const TokenLayout& layout,
                                         const VmobaOptions& options, Impl impl, ThreadPool& pool);

}  // namespace sparsescope
