// Finds the entries at which the pools of one partition are cut, from the gates of the bins that
// hold a cut. Many short lists are sorted at once, a list a column.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "capture/gate_codes.h"
#include "capture/gate_store.h"
#include "capture/pool_search.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// The pools of one partition that span more than one query.
struct PartitionPools {
  std::vector<PoolSearch> head_global, block;  // [H], [blocks]
  PoolSearch overall;

  // Those that the gates of a block and head lie in.
  std::array<const PoolSearch*, kCutPools> of(int64_t head, int64_t c) const {
    return {&head_global[head], &block[c], &overall};
  }
};

// The gates of a piece that lie in a bin that holds a cut.
struct PieceFlags {
  std::vector<int64_t> first;  // [blocks of all partitions + 1]
  std::vector<float> gates;

  std::span<const float> of(int64_t block) const {
    return {gates.data() + first[block], static_cast<size_t>(first[block + 1] - first[block])};
  }
};

// The sampled row in a piece's slot.
inline int64_t row_of_slot(const CallLayout& layout, const GatePiece& piece, int64_t slot) {
  return layout.sampled.blocks[piece.first_block + slot / kRowLanes].first + slot % kRowLanes;
}

class CutLists {
 public:
  CutLists(const CallLayout& layout, int64_t partition, const PartitionPools& pools,
           const GateBins& bins);

  // [H + blocks + 1, tau]: the cuts of the heads, the blocks, and overall.
  std::vector<GateCut> solve(const GateStore& store, const std::vector<PieceFlags>& flags,
                             const RowStatsKernels& kernels);

 private:
  // The gates of one bin in one pool.
  struct List {
    int64_t pool = 0;  // as in the result
    const PoolSearch::CutBin* cut_bin = nullptr;
    int64_t first = 0, count = 0;  // in gates_
  };
  // A part of gates_ to be sorted.
  struct Run {
    int64_t first = 0, count = 0;
  };
  // A cut among equal gates: its entry is the nth of those in (block, head, rank) order.
  struct Tie {
    int64_t cut = 0;  // in the result
    int64_t nth = 0;
  };
  using Place = std::array<int32_t, 3>;  // block, head, rank

  const PoolSearch& pool_of(int64_t pool) const;
  void mark(int64_t pool, int32_t* list_of_bin, int32_t none) const;
  void collect(const GateStore& store, const std::vector<PieceFlags>& flags);
  void sort(const RowStatsKernels& kernels);
  void split(const List& list, std::vector<Run>& runs);
  void sort_batch(const Run* runs, int64_t count, const RowStatsKernels& kernels);
  void place(const List& list, std::vector<GateCut>& cuts);
  void resolve_ties(const GateStore& store, std::vector<GateCut>& cuts) const;
  std::vector<Place> find_equal(int64_t pool, float gate, const GateStore& store) const;

  const CallLayout& layout_;
  const PartitionLayout& partition_;
  const PartitionPools& pools_;
  const GateBins bins_;
  int64_t heads_;
  std::vector<List> lists_;          // by pool
  std::vector<int64_t> first_list_;  // [pools + 1]
  std::vector<float> gates_;         // of all lists, and one for what is in none
  std::vector<Tie> ties_;
  std::vector<float> columns_, split_;  // scratch
};

}  // namespace sparsescope
