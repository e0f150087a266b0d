// What one pass over the gates of a call counts: ranges, sums of the queries' own blocks, and
// histograms of all other entries, by head and by block.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "capture/gate_scan.h"

namespace sparsescope {

inline constexpr int32_t kGateBins = 1024;

// Maps gates of one partition to bins, monotonically; what lies outside the range falls into the
// end bins, so that any range gives right results.
struct GateBins {
  float lo = std::numeric_limits<float>::infinity();
  float hi = -std::numeric_limits<float>::infinity();
  float scale = 0.0f;

  void finish() { scale = hi > lo ? static_cast<float>(kGateBins) / (hi - lo) : 0.0f; }
  int32_t bin(float gate) const {
    const float at = (gate - lo) * scale;
    const float last = kGateBins - 1;
    return static_cast<int32_t>(at > 0.0f ? (at < last ? at : last) : 0.0f);
  }
};

struct GateSum {
  double sum = 0.0;    // of gates
  double count = 0.0;  // of entries

  void operator+=(const GateSum& other) {
    sum += other.sum;
    count += other.count;
  }
};

// Blocks are numbered over all partitions.
class GateTally {
 public:
  GateTally(int64_t heads, const CallLayout& layout);

  void add(const GateBlock& rows, const std::vector<GateBins>& bins, const CallLayout& layout);
  void merge(const GateTally& other);

  struct Range {
    float lo = std::numeric_limits<float>::infinity();
    float hi = -std::numeric_limits<float>::infinity();
  };
  const Range& range(int64_t head, int64_t block) const {
    return ranges_[head * num_blocks_ + block];
  }
  const GateSum& own(int64_t head, int64_t block) const { return own_[head * num_blocks_ + block]; }
  const GateSum* head_bins(int64_t head, int64_t partition) const {
    return &by_head_[(head * num_partitions_ + partition) * kGateBins];
  }
  const GateSum* block_bins(int64_t block) const { return &by_block_[block * kGateBins]; }

 private:
  // The gates of one block c; entry: its place in ranges_ and own_.
  void add_block(const float* gate, int32_t num_rows, const int32_t* self, int32_t c,
                 const GateBins bins, GateSum* head_bins, GateSum* block_bins, int64_t entry);

  int64_t num_blocks_, num_partitions_;
  std::vector<Range> ranges_;      // [H, blocks]
  std::vector<GateSum> own_;       // [H, blocks]
  std::vector<GateSum> by_head_;   // [H, partitions, bins] own blocks left out
  std::vector<GateSum> by_block_;  // [blocks, bins] own blocks left out
};

}  // namespace sparsescope
