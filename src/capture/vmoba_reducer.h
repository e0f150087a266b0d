// VMoBA's densities and recalls: top-k and all threshold pools, for every partition. Rows of one
// head are summed as packed integers (kernels/row_stats.h) and handed over by flush.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "capture/call_layout.h"
#include "capture/gate_cuts.h"
#include "capture/reducers/head_sums.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// Rows of one head, a lane each.
struct VmobaRows {
  int64_t head = 0;
  std::span<const int32_t> number;   // [rows] of the sampled rows; at most 64
  const float* cell_mass = nullptr;  // [cells, 64]
  const float* tile_mass = nullptr;  // [N, 64]
  GateRows gates;
};

class VmobaReducer {
 public:
  VmobaReducer(const CallLayout& layout, const GateSelection& selection,
               const RowStatsKernels& kernels);

  // Adds to the rows not yet handed over, which must be of the same head.
  void add(const VmobaRows& rows, std::vector<VmobaSums>& sums);
  // Adds to the sums of that head what was not yet handed over.
  void flush(std::vector<VmobaSums>& sums);

 private:
  static constexpr int64_t kNumCodes = kPoolCodes;  // of an entry in the pools
  static constexpr int64_t kMaxPending = 16384;     // rows that packed counts hold

  // Sums of one partition.
  struct Pending {
    std::vector<uint64_t> by_code;               // [blocks, codes] packed
    std::vector<RankedSum> by_rank;              // [blocks]
    std::array<RankedSum, kNumTaus + 1> by_tau;  // by the first tau that keeps an entry
  };
  void combine_masses(const VmobaRows& rows, int64_t p);
  void add_partition(const VmobaRows& rows, int64_t p);
  void flush_ranked(const PartitionLayout& partition, const Pending& pending, VmobaSums& sums);
  void flush_pools(const PartitionLayout& partition, const Pending& pending, VmobaSums& sums);

  const CallLayout& layout_;
  const GateSelection& selection_;
  const RowStatsKernels& kernels_;
  int64_t head_ = 0;
  int64_t pending_rows_ = 0;
  std::vector<Pending> pending_;  // [partitions]

  std::vector<uint8_t> code_;  // [blocks of all partitions, 64]
  std::vector<float> mass_;    // [blocks of all partitions, 64]
  // Of the partition at hand.
  std::vector<uint64_t> packed_;     // [blocks, 64]
  std::vector<double> sorted_;       // [power of two, kMaxRankColumns]
  std::vector<int32_t> tau_code_;    // [blocks, kMaxRankColumns]
  std::vector<uint64_t> rank_sums_;  // [blocks, kMaxRankColumns]
};

}  // namespace sparsescope
