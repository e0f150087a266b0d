// Turns the masses of row groups into the raw sums of their heads. One object a worker.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "capture/reducers/head_sums.h"
#include "capture/reduction_context.h"
#include "capture/row_order_reducer.h"
#include "capture/tile_batch.h"
#include "kernels/attention.h"

namespace sparsescope {

class RowGroupReducer {
 public:
  // The context must outlive the object.
  explicit RowGroupReducer(const ReductionContext& context);
  ~RowGroupReducer();
  RowGroupReducer(RowGroupReducer&&) noexcept;

  void add(const RowGroupMasses& masses);
  // Call once, after the last group.
  void finish();
  const std::vector<HeadSums>& heads() const { return heads_; }  // [H]

 private:
  struct TileSpan;  // the lanes of one tile in one block of its group
  void load_block(const RowBlockMasses& block, int32_t block_idx);
  void start_head(int64_t head);
  void add_rows(const RowBlockMasses& block, HeadSums& sums);
  void add_axis(const AxisLanes& lanes, int64_t block, const float* mass, AxisPairs& pairs);
  void add_tile(const RowGroupMasses& masses, const TileRows& tile, HeadSums& sums);
  void add_cosines(const TileRows& tile, HeadSums& sums);

  const ReductionContext& context_;
  int64_t num_tiles_, head_dim_;
  std::vector<HeadSums> heads_;  // [H]
  TileBatch batch_;
  RowOrderReducer row_order_;
  int64_t head_ = -1;  // of the last group

  // Of the group at hand, a block each.
  std::vector<const float*> tile_mass_;       // [N, 64]
  std::vector<std::vector<float>> combined_;  // storage of tile_mass_ where cells are finer
  std::vector<std::vector<float>> columns_;   // [D, 64] queries
  std::vector<std::vector<double>> norms_;    // [64] of the queries
  std::vector<double> sums_;                  // [max(N, D, extents)] scratch

  // Of the tile at hand.
  std::vector<TileSpan> spans_;
  std::vector<double> mass_sum_, query_sum_;     // [N], [D]
  std::vector<float> mean_mass_, scaled_query_;  // [N], [D]
  std::vector<float> centre_;                    // [D] query of the centre token
};

}  // namespace sparsescope
