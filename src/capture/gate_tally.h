// Histograms of the gates of a call, by head and by block: counts and fixed-point sums, own blocks
// left out. Integers, so that they depend neither on the order of pieces nor on the threads.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/gate_store.h"

namespace sparsescope {

// As many as make a bin of the smallest pools hold a few entries: bins cost time, and so do the
// entries of those that hold a cut.
int32_t choose_gate_bins(int64_t pool_entries);

// Bins for the gates of one partition, of which entries lie in other blocks: narrow where the cuts
// are, the ends of the range left to the last bins.
GateBins make_gate_bins(const FiniteRange& range, int64_t entries, int32_t num_bins);

// The bin of a gate of some other block, with the roundings of the kernels.
inline int32_t bin_of_gate(float gate, const GateBins& bins) {
  const float at = (gate - bins.first) * bins.scale;
  const auto last = static_cast<float>(bins.num_bins - 1);
  return static_cast<int32_t>(at > 0.0f ? (at < last ? at : last) : 0.0f);
}

struct BinSums {
  std::vector<int64_t> sum;    // [bins] of packed gates
  std::vector<int64_t> count;  // [bins] entries

  void reset(int32_t bins);
  void operator+=(const BinSums& other);
};

// Blocks are numbered over all partitions.
class GateTally {
 public:
  // Empties the sums, whose memory is used again.
  void reset(int64_t heads, const CallLayout& layout, int32_t num_bins);

  // gate [blocks, stride] of the piece; bins [partitions]
  void add(const GatePiece& piece, const float* gate, const std::vector<GateBins>& bins,
           const RowStatsKernels& kernels);
  void merge(const GateTally& other);

  const BinSums& of_head(int64_t head, int64_t partition) const {
    return by_head_[head * std::ssize(layout_->partitions) + partition];
  }
  const BinSums& of_block(int64_t block) const { return by_block_[block]; }

 private:
  const CallLayout* layout_ = nullptr;
  std::vector<BinSums> by_head_;   // [H, partitions]
  std::vector<BinSums> by_block_;  // [blocks]
  std::vector<uint64_t> packed_;   // [bins + 1] scratch
};

}  // namespace sparsescope
