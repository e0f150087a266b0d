#include "capture/vmoba_reducer.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "capture/vmoba_rule.h"

namespace sparsescope {
namespace {

int64_t largest_partition(const CallLayout& layout) {
  int64_t blocks = 1;
  for (const PartitionLayout& partition : layout.partitions) {
    blocks = std::max(blocks, partition.blocks);
  }
  return blocks;
}

int64_t power_of_two(int64_t rows) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
}

}  // namespace

VmobaReducer::VmobaReducer(const CallLayout& layout, const GateSelection& selection,
                           const RowStatsKernels& kernels)
    : layout_(layout), selection_(selection), kernels_(kernels) {
  const int64_t blocks = largest_partition(layout);
  for (const PartitionLayout& partition : layout.partitions) {
    Pending& pending = pending_.emplace_back();
    pending.by_code.resize(partition.blocks * kNumCodes);
    pending.by_rank.resize(partition.blocks);
  }
  mass_.resize(layout.partition_blocks * kRowLanes);
  packed_.resize(blocks * kRowLanes);
  sorted_.resize(power_of_two(blocks) * kMaxRankColumns);
  code_.resize(layout.partition_blocks * kRowLanes);
  tau_code_.resize(blocks * kMaxRankColumns);
  rank_sums_.resize(blocks * kMaxRankColumns);
}

void VmobaReducer::add(const VmobaRows& rows, std::vector<VmobaSums>& sums) {
  const int64_t count = std::ssize(rows.number);
  if (pending_rows_ + count > kMaxPending) flush(sums);
  head_ = rows.head;
  pending_rows_ += count;
  // Of all entries in the pools that span queries.
  find_gate_codes(layout_, selection_, kernels_, rows.head, rows.number, rows.gates, code_.data());
  for (const int64_t p : layout_.finest_first) combine_masses(rows, p);
  for (int64_t p = 0; p < std::ssize(layout_.partitions); ++p) add_partition(rows, p);
}

// Masses of the blocks, from the coarsest parts that add up to them.
void VmobaReducer::combine_masses(const VmobaRows& rows, int64_t p) {
  const PartitionLayout& partition = layout_.partitions[p];
  float* out = &mass_[partition.first_block * kRowLanes];
  const bool of_tiles = !partition.block_of_tile.empty();
  if (partition.finer >= 0 &&
      (!of_tiles || layout_.partitions[partition.finer].blocks < layout_.num_tiles)) {
    const PartitionLayout& finer = layout_.partitions[partition.finer];
    kernels_.combine(&mass_[finer.first_block * kRowLanes], partition.block_of_finer.data(),
                     finer.blocks, partition.blocks, out);
  } else if (of_tiles) {
    kernels_.combine(rows.tile_mass, partition.block_of_tile.data(), layout_.num_tiles,
                     partition.blocks, out);
  } else {
    kernels_.combine(rows.cell_mass, layout_.cells.block_of_cell[p].data(),
                     layout_.cells.num_video_cells, partition.blocks, out);
  }
}

void VmobaReducer::add_partition(const VmobaRows& rows, int64_t p) {
  const GateRows& gates = rows.gates;
  const int64_t lanes = std::ssize(rows.number);
  const PartitionLayout& partition = layout_.partitions[p];
  Pending& pending = pending_[p];
  kernels_.pack_masses(&mass_[partition.first_block * kRowLanes], partition.blocks, packed_.data());
  kernels_.code_sums(&code_[partition.first_block * kRowLanes], packed_.data(), partition.blocks,
                     lanes, pending.by_code.data());
  kernels_.rank_entries({.rows = partition.blocks,
                         .padded = power_of_two(partition.blocks),
                         .gate = gates.gate + partition.first_block * gates.stride,
                         .stride = gates.stride,
                         .own = gates.own + p * kRowLanes,
                         .packed = packed_.data(),
                         .lanes = lanes,
                         .num_taus = static_cast<int32_t>(kNumTaus),
                         .sorted = sorted_.data(),
                         .code = tau_code_.data(),
                         .rank_sums = rank_sums_.data(),
                         .by_rank = pending.by_rank.data(),
                         .by_code = pending.by_tau.data()});
}

void VmobaReducer::flush(std::vector<VmobaSums>& sums) {
  if (pending_rows_ == 0) return;
  for (size_t p = 0; p < pending_.size(); ++p) {
    flush_ranked(layout_.partitions[p], pending_[p], sums[p]);
    flush_pools(layout_.partitions[p], pending_[p], sums[p]);
    std::fill(pending_[p].by_code.begin(), pending_[p].by_code.end(), uint64_t{0});
    std::fill(pending_[p].by_rank.begin(), pending_[p].by_rank.end(), RankedSum{});
    pending_[p].by_tau.fill(RankedSum{});
    const auto rows = static_cast<double>(pending_rows_);
    sums[p].density_topk.add_weight(rows);
    sums[p].density_tau.add_weight(rows);
    sums[p].recall_topk.add_weight(rows);
    sums[p].recall_tau.add_weight(rows);
  }
  pending_rows_ = 0;
}

// Top-k and the thresholds within a query.
void VmobaReducer::flush_ranked(const PartitionLayout& partition, const Pending& pending,
                                VmobaSums& sums) {
  const auto tokens = static_cast<double>(layout_.video_tokens);
  const double size = partition.size.front();
  const double missing = size - partition.size.back();  // of the last block, the only smaller one
  RankedSum sum;
  const auto add = [&](const RankedSum& more, MeanCurve& recall, MeanCurve& density, int64_t i) {
    sum.mass += more.mass;
    sum.last += more.last;
    sum.entries += more.entries;
    recall.add_at(i, static_cast<double>(sum.mass) / kMassUnits);
    density.add_at(
        i, (static_cast<double>(sum.entries) * size - static_cast<double>(sum.last) * missing) /
               tokens);
  };
  for (int64_t k = 0; k < partition.blocks; ++k) {
    add(pending.by_rank[k], sums.recall_topk, sums.density_topk, k);
  }
  sum = {};
  for (int64_t tau = 0; tau < kNumTaus; ++tau) {
    add(pending.by_tau[tau], sums.recall_tau, sums.density_tau, tau);
  }
}

// Pools that span queries: the cut at place i of a block's order keeps the codes above i.
void VmobaReducer::flush_pools(const PartitionLayout& partition, const Pending& pending,
                               VmobaSums& sums) {
  static_assert(kOwnCode < kNumCodes && kNumCuts <= kOwnCode);
  const auto tokens = static_cast<double>(layout_.video_tokens);
  for (int64_t c = 0; c < partition.blocks; ++c) {
    const CutOrder& order =
        selection_.orders[head_ * layout_.partition_blocks + partition.first_block + c];
    const uint64_t* by_code = &pending.by_code[c * kNumCodes];
    uint64_t packed = std::accumulate(by_code + kNumCuts, by_code + kNumCodes, uint64_t{0});
    for (int64_t i = kNumCuts - 1; i >= 0; --i) {
      const auto kept = static_cast<double>(packed >> kCountShift);
      const int64_t curve = kNumTaus + order[i];  // behind those of the query_head pool
      sums.recall_tau.add_at(curve, static_cast<double>(packed & kPackedValue) / kMassUnits);
      sums.density_tau.add_at(curve, kept * partition.size[c] / tokens);
      packed += by_code[i];
    }
  }
}

}  // namespace sparsescope
