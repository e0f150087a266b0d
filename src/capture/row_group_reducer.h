// Turns the masses of row groups into the raw sums of their heads. One object a worker.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "capture/call_layout.h"
#include "capture/key_means.h"
#include "capture/reducers/head_sums.h"
#include "capture/tile_batch.h"
#include "capture/vmoba_reducer.h"
#include "core/tensor_view.h"
#include "kernels/attention.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// What all workers of one call share.
struct ReductionContext {
  const CallLayout& layout;
  const AttentionTensor& q;
  float scale;
  const KeyMeans& means;
  const GateSelection& cuts;
  const RowStatsKernels& kernels;
  float* map = nullptr;  // [H, N, N] or null: tile masses are not kept
};

class RowGroupReducer {
 public:
  explicit RowGroupReducer(const ReductionContext& context);

  void add(const RowGroupMasses& masses);
  // Call once, after the last group.
  void finish();
  const std::vector<HeadSums>& heads() const { return heads_; }  // [H]

 private:
  struct TileSpan;  // the lanes of one tile in one block of its group
  void load_block(const RowBlockMasses& block, int32_t block_idx);
  void start_head(int64_t head);
  void add_rows(const RowBlockMasses& block, int32_t block_idx, HeadSums& sums);
  void add_vmoba(const RowBlockMasses& block, int32_t block_idx, int64_t row_block, HeadSums& sums);
  void add_axis(const AxisLanes& lanes, int64_t block, const float* mass, AxisPairs& pairs);
  void add_tile(const RowGroupMasses& masses, const TileRows& tile, HeadSums& sums);
  void add_cosines(const TileRows& tile, const std::vector<TileSpan>& spans, HeadSums& sums);

  const ReductionContext context_;
  int64_t num_tiles_, head_dim_;
  std::vector<int32_t> counts_;  // K(f)
  std::vector<HeadSums> heads_;  // [H]
  TileBatch batch_;
  VmobaReducer vmoba_;
  int64_t head_ = -1;  // of the last group

  // Of the group at hand, a block each.
  std::vector<const float*> tile_mass_;       // [N, 64]
  std::vector<std::vector<float>> combined_;  // storage of tile_mass_ where cells are finer
  std::vector<std::vector<float>> columns_;   // [D, 64] queries
  std::vector<std::vector<double>> norms_;    // [64] of the queries
  std::vector<float> sorted_, covered_;       // scratch of the sorts
  std::vector<double> sums_;                  // [max(N, D, extents)] scratch
};

}  // namespace sparsescope
