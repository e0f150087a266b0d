#include "capture/gate_scan.h"

#include <algorithm>
#include <vector>

#include "capture/query_columns.h"

namespace sparsescope {

void GateScan::run(int64_t stride,
                   const std::function<void(int worker, const GateBlock& block)>& use) const {
  constexpr int64_t kBlocksPerItem = 8;  // enough work to outweigh the item's own cost
  const int64_t blocks = (layout.num_video_blocks + stride - 1) / stride;
  const int64_t items_per_head = (blocks + kBlocksPerItem - 1) / kBlocksPerItem;
  const int64_t D = q.head_dim;
  std::vector<std::vector<float>> columns(pool.size()), gates(pool.size());
  pool.parallel_for(q.heads * items_per_head, [&](int64_t item, int worker) {
    columns[worker].resize(D * kRowLanes);
    gates[worker].resize(layout.partition_blocks * kRowLanes);
    const int64_t head = item / items_per_head;
    const int64_t first = item % items_per_head * kBlocksPerItem;
    for (int64_t b = first; b < std::min(first + kBlocksPerItem, blocks); ++b) {
      const RowBlock& rows = layout.rows.blocks[b * stride];
      load_columns(q, 0, head, &layout.rows.order[rows.first], rows.count, columns[worker].data());
      kernels.products(means.blocks_of(head, 0), layout.partition_blocks, D, columns[worker].data(),
                       gates[worker].data());
      use(worker, {head, rows.first, rows.count, gates[worker].data()});
    }
  });
}

}  // namespace sparsescope
