#include "capture/vmoba_reducer.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "capture/vmoba_rule.h"

namespace sparsescope {
namespace {

constexpr double kMassUnit = 1.0 / kMassUnits;

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

double mass_of(uint64_t packed) { return static_cast<double>(packed & kPackedValue) * kMassUnit; }

}  // namespace

VmobaReducer::VmobaReducer(const CallLayout& layout, const GateSelection& selection,
                           const RowStatsKernels& kernels)
    : layout_(layout), selection_(selection), kernels_(kernels) {
  const int64_t blocks = largest_partition(layout);
  for (const PartitionLayout& partition : layout.partitions) {
    Pending& pending = pending_.emplace_back();
    pending.by_code.resize(partition.blocks * kNumCodes);
    pending.mass_by_rank.resize(partition.blocks);
    pending.size_by_rank.resize(partition.blocks);
  }
  for (auto* buffer : {&packed_, &packed_size_}) buffer->resize(blocks * kRowLanes);
  mass_.resize(blocks * kRowLanes);
  tau_code_.resize(blocks * kRowLanes);
  ranked_gate_.resize(power_of_two(blocks) * kRowLanes);
  index_.resize(power_of_two(blocks) * kRowLanes);
  by_rank_.resize(std::min(blocks, kMaxRankedRows));
}

void VmobaReducer::add(const VmobaRows& rows, std::vector<VmobaSums>& sums) {
  if (pending_rows_ + rows.num_rows > kMaxPending) flush(sums);
  head_ = rows.head;
  pending_rows_ += rows.num_rows;
  pending_sampled_ += std::accumulate(rows.sampled, rows.sampled + rows.num_rows, 0.0);
  const GateRows gates =
      selection_.store->read_rows(rows.head, rows.block, rows.columns, gate_scratch_);
  for (int64_t p = 0; p < std::ssize(layout_.partitions); ++p) add_partition(rows, gates, p);
}

void VmobaReducer::add_partition(const VmobaRows& rows, const GateRows& gates, int64_t p) {
  const PartitionLayout& partition = layout_.partitions[p];
  Pending& pending = pending_[p];
  if (partition.block_of_tile.empty()) {
    kernels_.combine(rows.cell_mass, layout_.cells.block_of_cell[p].data(),
                     layout_.cells.num_video_cells, partition.blocks, mass_.data());
  } else {
    kernels_.combine(rows.tile_mass, partition.block_of_tile.data(), layout_.num_tiles,
                     partition.blocks, mass_.data());
  }
  kernels_.pack_masses(mass_.data(), partition.blocks, rows.sampled, packed_.data());
  const int64_t stride = selection_.store->slots_of(rows.block);
  const uint8_t* codes =
      selection_.codes_of(rows.head, rows.block) + partition.first_block * stride;
  kernels_.code_sums(codes, stride, packed_.data(), partition.blocks, rows.num_rows,
                     pending.by_code.data());
  rank_blocks(gates, p);
  sum_ranked(rows, partition, pending);
}

// Ranked gates, their blocks, and which taus keep them.
void VmobaReducer::rank_blocks(const GateRows& gates, int64_t p) {
  const PartitionLayout& partition = layout_.partitions[p];
  const int64_t padded = power_of_two(partition.blocks);
  const float* gate = gates.gate + partition.first_block * gates.stride;
  kernels_.rank_columns(gate, gates.stride, partition.blocks, padded, ranked_gate_.data(),
                        index_.data());
  kernels_.tau_codes({.rows = partition.blocks,
                      .gate = ranked_gate_.data(),
                      .own = gates.own + p * kRowLanes,
                      .num_taus = static_cast<int32_t>(kNumTaus),
                      .code = tau_code_.data()});
}

void VmobaReducer::sum_ranked(const VmobaRows& rows, const PartitionLayout& partition,
                              Pending& pending) {
  const auto sum = [&](const uint64_t* packed, uint64_t* by_rank, uint64_t* mass, uint64_t* count) {
    for (int64_t first = 0; first < partition.blocks; first += kMaxRankedRows) {
      const int64_t ranks = std::min(kMaxRankedRows, partition.blocks - first);
      std::array<uint64_t, kNumTauCodes> by_code{};
      kernels_.ranked_sums(&tau_code_[first * kRowLanes], &index_[first * kRowLanes], packed, ranks,
                           rows.num_rows, by_rank_.data(), by_code.data());
      for (int64_t r = 0; r < ranks; ++r) by_rank[first + r] += by_rank_[r] & kPackedValue;
      for (int64_t i = 0; i < kNumTauCodes; ++i) {
        mass[i] += by_code[i] & kPackedValue;
        if (count != nullptr) count[i] += by_code[i] >> kCountShift;
      }
    }
  };
  const bool equal = partition.equal_sizes;
  sum(packed_.data(), pending.mass_by_rank.data(), pending.tau_mass.data(),
      equal ? pending.tau_size.data() : nullptr);
  if (equal) return;
  for (int64_t c = 0; c < partition.blocks; ++c) {
    std::fill_n(&packed_size_[c * kRowLanes], kRowLanes, static_cast<uint64_t>(partition.size[c]));
  }
  sum(packed_size_.data(), pending.size_by_rank.data(), pending.tau_size.data(), nullptr);
}

void VmobaReducer::flush(std::vector<VmobaSums>& sums) {
  if (pending_rows_ == 0) return;
  for (size_t p = 0; p < pending_.size(); ++p) {
    flush_ranked(layout_.partitions[p], pending_[p], sums[p]);
    flush_pools(layout_.partitions[p], pending_[p], sums[p]);
    for (auto* values :
         {&pending_[p].by_code, &pending_[p].mass_by_rank, &pending_[p].size_by_rank}) {
      std::fill(values->begin(), values->end(), uint64_t{0});
    }
    pending_[p].tau_mass.fill(0);
    pending_[p].tau_size.fill(0);
    const auto rows = static_cast<double>(pending_rows_);
    sums[p].density_topk.add_weight(rows);
    sums[p].density_tau.add_weight(rows);
    sums[p].recall_topk.add_weight(pending_sampled_);
    sums[p].recall_tau.add_weight(pending_sampled_);
  }
  pending_rows_ = 0;
  pending_sampled_ = 0.0;
}

// Top-k and the thresholds within a query.
void VmobaReducer::flush_ranked(const PartitionLayout& partition, const Pending& pending,
                                VmobaSums& sums) {
  const auto tokens = static_cast<double>(layout_.video_tokens);
  const auto rows = static_cast<uint64_t>(pending_rows_);
  const auto block_size = static_cast<uint64_t>(partition.size[0]);
  uint64_t mass = 0, size = 0;
  for (int64_t k = 0; k < partition.blocks; ++k) {
    mass += pending.mass_by_rank[k];
    size += partition.equal_sizes ? rows * block_size : pending.size_by_rank[k];
    sums.recall_topk.add_at(k, static_cast<double>(mass) * kMassUnit);
    sums.density_topk.add_at(k, static_cast<double>(size) / tokens);
  }
  mass = size = 0;
  for (int64_t tau = 0; tau < kNumTaus; ++tau) {
    mass += pending.tau_mass[tau];
    size += pending.tau_size[tau] * (partition.equal_sizes ? block_size : 1);
    sums.recall_tau.add_at(tau, static_cast<double>(mass) * kMassUnit);
    sums.density_tau.add_at(tau, static_cast<double>(size) / tokens);
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
      sums.recall_tau.add_at(curve, mass_of(packed));
      sums.density_tau.add_at(curve, kept * partition.size[c] / tokens);
      packed += by_code[i];
    }
  }
}

}  // namespace sparsescope
