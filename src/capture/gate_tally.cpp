#include "capture/gate_tally.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sparsescope {

int32_t choose_gate_bins(int64_t pool_entries) {
  constexpr uint64_t kEntries = 8, kLeast = 64;
  const uint64_t wanted = std::bit_ceil(static_cast<uint64_t>(pool_entries) / kEntries + 1);
  return static_cast<int32_t>(std::clamp<uint64_t>(wanted, kLeast, kMaxGateBins));
}

GateBins make_gate_bins(const FiniteRange& range, int64_t entries, int32_t num_bins) {
  constexpr double kDeviations = 2.75;  // most cuts lie nearer to the mean
  const double count = std::max<double>(1.0, static_cast<double>(entries));
  const double mean = range.sum / count;
  const double deviation = std::sqrt(std::max(0.0, range.squares / count - mean * mean));
  const double first = std::max<double>(range.lo, mean - kDeviations * deviation);
  const double end = std::min<double>(range.hi, mean + kDeviations * deviation);
  GateBins bins{.first = static_cast<float>(first), .hi = range.hi, .num_bins = num_bins};
  if (end > first) {
    const double scale = num_bins / (end - first);
    bins.scale = static_cast<float>(std::min<double>(scale, std::numeric_limits<float>::max()));
  }
  // A power of two, so that gates of few bits stay exact.
  const float largest = std::max(std::abs(range.lo), std::abs(range.hi));
  if (largest > 0.0f) bins.unit = std::ldexp(1.0f, 29 - std::ilogb(largest));
  return bins;
}

void BinSums::operator+=(const BinSums& other) {
  for (size_t bin = 0; bin < sum.size(); ++bin) {
    sum[bin] += other.sum[bin];
    count[bin] += other.count[bin];
  }
}

void BinSums::reset(int32_t bins) {
  sum.assign(bins, 0);
  count.assign(bins, 0);
}

void GateTally::reset(int64_t heads, const CallLayout& layout, int32_t num_bins) {
  layout_ = &layout;
  by_head_.resize(heads * std::ssize(layout.partitions));
  by_block_.resize(layout.partition_blocks);
  for (auto* sums : {&by_head_, &by_block_}) {
    for (BinSums& each : *sums) each.reset(num_bins);
  }
  packed_.assign(num_bins + 1, 0);
}

void GateTally::add(const GatePiece& piece, const float* gate, const std::vector<GateBins>& bins,
                    const RowStatsKernels& kernels) {
  for (size_t p = 0; p < layout_->partitions.size(); ++p) {
    const PartitionLayout& partition = layout_->partitions[p];
    BinSums& of_head = by_head_[piece.head * std::ssize(layout_->partitions) + p];
    for (int64_t c = partition.first_block; c < partition.first_block + partition.blocks; ++c) {
      kernels.gate_histogram(gate + c * piece.stride(), piece.slots(), bins[p], packed_.data());
      packed_[bins[p].num_bins] = 0;
      kernels.unpack_bins(packed_.data(), bins[p].num_bins, of_head.sum.data(),
                          of_head.count.data(), by_block_[c].sum.data(), by_block_[c].count.data());
    }
  }
}

void GateTally::merge(const GateTally& other) {
  for (size_t i = 0; i < by_head_.size(); ++i) by_head_[i] += other.by_head_[i];
  for (size_t i = 0; i < by_block_.size(); ++i) by_block_[i] += other.by_block_[i];
}

}  // namespace sparsescope
