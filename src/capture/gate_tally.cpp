#include "capture/gate_tally.h"

#include <algorithm>

namespace sparsescope {

GateTally::GateTally(int64_t heads, const CallLayout& layout)
    : num_blocks_(layout.partition_blocks),
      num_partitions_(std::ssize(layout.partitions)),
      ranges_(heads * num_blocks_),
      own_(heads * num_blocks_),
      by_head_(heads * num_partitions_ * kGateBins),
      by_block_(num_blocks_ * kGateBins) {}

void GateTally::add(const GateBlock& rows, const std::vector<GateBins>& bins,
                    const CallLayout& layout) {
  for (int64_t p = 0; p < num_partitions_; ++p) {
    const PartitionLayout& partition = layout.partitions[p];
    const int32_t* self = &partition.self[rows.first_row];
    GateSum* head_bins = &by_head_[(rows.head * num_partitions_ + p) * kGateBins];
    for (int32_t c = 0; c < partition.blocks; ++c) {
      const int64_t block = partition.first_block + c;
      add_block(rows.gate + block * kRowLanes, rows.num_rows, self, c, bins[p], head_bins,
                &by_block_[block * kGateBins], rows.head * num_blocks_ + block);
    }
  }
}

// Locals instead of members in the loop: stores to the histograms could alias them.
void GateTally::add_block(const float* gate, int32_t num_rows, const int32_t* self, int32_t c,
                          const GateBins bins, GateSum* head_bins, GateSum* block_bins,
                          int64_t entry) {
  Range range = ranges_[entry];
  GateSum own;
  for (int32_t lane = 0; lane < num_rows; ++lane) {
    const float g = gate[lane];
    range.lo = g < range.lo ? g : range.lo;
    range.hi = g > range.hi ? g : range.hi;
    if (self[lane] == c) {
      own += {g, 1.0};
      continue;
    }
    const int32_t bin = bins.bin(g);
    head_bins[bin] += {g, 1.0};
    block_bins[bin] += {g, 1.0};
  }
  ranges_[entry] = range;
  own_[entry] += own;
}

void GateTally::merge(const GateTally& other) {
  for (size_t i = 0; i < ranges_.size(); ++i) {
    ranges_[i].lo = std::min(ranges_[i].lo, other.ranges_[i].lo);
    ranges_[i].hi = std::max(ranges_[i].hi, other.ranges_[i].hi);
    own_[i] += other.own_[i];
  }
  for (size_t i = 0; i < by_head_.size(); ++i) by_head_[i] += other.by_head_[i];
  for (size_t i = 0; i < by_block_.size(); ++i) by_block_[i] += other.by_block_[i];
}

}  // namespace sparsescope
