// VMoBA's densities and recalls of one row block: top-k and all threshold pools, for every
// partition.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/call_layout.h"
#include "capture/gate_cuts.h"
#include "capture/key_means.h"
#include "capture/reducers/head_sums.h"
#include "kernels/attention.h"
#include "kernels/row_stats.h"

namespace sparsescope {

class VmobaReducer {
 public:
  VmobaReducer(const CallLayout& layout, const KeyMeans& means,
               const std::vector<PartitionCuts>& cuts, const RowStatsKernels& kernels);

  // columns [D, 64]: the block's queries; sampled [64]: rows that each row stands for in a recall.
  void add(int64_t head, const RowBlockMasses& block, const float* columns, const float* sampled,
           std::vector<VmobaSums>& sums);

 private:
  struct Rows;  // the row block at hand
  void prepare(const Rows& rows, const PartitionLayout& partition);
  void rank_blocks(const PartitionLayout& partition);
  void add_topk(const Rows& rows, const PartitionLayout& partition, VmobaSums& sums);
  void add_query_head(const Rows& rows, const PartitionLayout& partition, VmobaSums& sums);
  void add_pools(const Rows& rows, const PartitionLayout& partition, const PartitionCuts& cuts,
                 VmobaSums& sums);
  // cut_of(c): the cut that concerns block c
  template <typename CutOf>
  void add_cut(const Rows& rows, const PartitionLayout& partition, const CutOf& cut_of,
               int64_t curve_idx, VmobaSums& sums);

  const CallLayout& layout_;
  const KeyMeans& means_;
  const std::vector<PartitionCuts>& cuts_;
  const RowStatsKernels& kernels_;
  std::vector<float> gates_;        // [blocks of all partitions, 64]
  std::vector<float> mass_;         // [blocks, 64] of the partition at hand, as all that follow
  std::vector<float> ranked_gate_;  // [sort_rows(blocks), 64] own block first, then descending
  std::vector<int32_t> index_;      // [sort_rows(blocks), 64]
  std::vector<float> ranked_mass_, ranked_size_;  // [blocks, 64]
  std::vector<float> size_;                       // [blocks, 64] tokens of the block in every lane
  std::vector<double> lo_, hi_, total_, own_;     // [64] of a query's pool
  std::vector<double> inverse_width_;             // [64]
  std::vector<double> needed_, pool_mass_, pool_size_;  // [tau, 64]
  std::vector<double> cumulative_;                      // [blocks, 64]
  std::vector<float> thresholds_;                       // [blocks]
};

}  // namespace sparsescope
