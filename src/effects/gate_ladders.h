// The ladders of VMoBA for some rows of one head: top-k by rank, and the thresholds of every pool.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "capture/call_layout.h"
#include "capture/gate_cuts.h"
#include "core/tensor_view.h"
#include "kernels/row_stats.h"

namespace sparsescope {

class GateLadders {
 public:
  // layout: of all rows. All must outlive the object.
  GateLadders(const CallLayout& layout, const AttentionTensor& q, const GateSelection& gates,
              const RowStatsKernels& kernels);

  // rows: at most 64 numbers of the row order.
  void load(int64_t head, std::span<const int32_t> rows);

  // Of the loaded row `lane`, [blocks]: step at which a block enters. Steps of top-k are k - 1;
  // those of the thresholds count the taus, 19: never.
  std::span<const int32_t> top_k(int64_t partition, int64_t lane);
  std::span<const int32_t> thresholds(int64_t partition, int64_t pool, int64_t lane);

 private:
  void rank(int64_t partition, int64_t lane);
  void levels_within_query(int64_t partition, int64_t lane);
  void levels_of_cuts(int64_t partition, int64_t pool, int64_t lane);

  const CallLayout& layout_;
  const AttentionTensor& q_;
  const GateSelection& gates_;
  const RowStatsKernels& kernels_;
  int64_t head_ = 0;
  std::span<const int32_t> rows_;
  GateRows loaded_;
  std::vector<float> columns_, scratch_;  // [D, 64], gates
  std::vector<uint8_t> code_;             // [blocks of all partitions, 64]
  std::vector<int32_t> order_;            // blocks of the ranked row, own first
  std::vector<int32_t> levels_;           // [blocks]
};

}  // namespace sparsescope
