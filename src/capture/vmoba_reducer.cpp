#include "capture/vmoba_reducer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "capture/sorted_columns.h"
#include "capture/vmoba_rule.h"

namespace sparsescope {
namespace {

constexpr int64_t kNumTaus = std::ssize(kTaus);
constexpr float kInfinity = std::numeric_limits<float>::infinity();

int64_t largest_partition(const CallLayout& layout) {
  int64_t blocks = 1;
  for (const PartitionLayout& partition : layout.partitions) {
    blocks = std::max(blocks, partition.blocks);
  }
  return blocks;
}

}  // namespace

struct VmobaReducer::Rows {
  int64_t head;
  const RowBlockMasses& block;
  const float* sampled;                  // [64]
  float* gate = nullptr;                 // [blocks, 64] of the partition; own entries become +inf
  const int32_t* self = nullptr;         // [rows] own block
  const int32_t* rank = nullptr;         // [rows] place in the partition's order
  std::array<float, kRowLanes> every{};  // 1 in lanes that hold a row
  double sampled_rows = 0.0;
};

VmobaReducer::VmobaReducer(const CallLayout& layout, const KeyMeans& means,
                           const std::vector<PartitionCuts>& cuts, const RowStatsKernels& kernels)
    : layout_(layout), means_(means), cuts_(cuts), kernels_(kernels) {
  const int64_t blocks = largest_partition(layout);
  const int64_t padded = sort_rows(blocks);
  gates_.resize(layout.partition_blocks * kRowLanes);
  for (auto* buffer : {&mass_, &ranked_mass_, &ranked_size_, &size_}) {
    buffer->resize(blocks * kRowLanes);
  }
  ranked_gate_.resize(padded * kRowLanes);
  index_.resize(padded * kRowLanes);
  for (auto* lanes : {&lo_, &hi_, &total_, &own_, &inverse_width_}) lanes->resize(kRowLanes);
  for (auto* curves : {&needed_, &pool_mass_, &pool_size_}) curves->resize(kNumTaus * kRowLanes);
  cumulative_.resize(blocks * kRowLanes);
  thresholds_.resize(blocks);
}

void VmobaReducer::add(int64_t head, const RowBlockMasses& block, const float* columns,
                       const float* sampled, std::vector<VmobaSums>& sums) {
  kernels_.products(means_.blocks_of(head, 0), layout_.partition_blocks, means_.head_dim, columns,
                    gates_.data());
  Rows rows{.head = head, .block = block, .sampled = sampled};
  std::fill_n(rows.every.begin(), block.num_rows, 1.0f);
  for (int32_t lane = 0; lane < block.num_rows; ++lane) rows.sampled_rows += sampled[lane];
  for (size_t p = 0; p < layout_.partitions.size(); ++p) {
    const PartitionLayout& partition = layout_.partitions[p];
    rows.gate = &gates_[partition.first_block * kRowLanes];
    rows.self = &partition.self[block.first_row];
    rows.rank = &partition.rank[block.first_row];
    kernels_.combine(block.mass, layout_.cells.block_of_cell[p].data(),
                     layout_.cells.num_video_cells, partition.blocks, mass_.data());
    prepare(rows, partition);
    rank_blocks(partition);
    add_topk(rows, partition, sums[p]);
    add_query_head(rows, partition, sums[p]);
    add_pools(rows, partition, cuts_[p], sums[p]);
    sums[p].density_topk.add_weight(block.num_rows);
    sums[p].density_tau.add_weight(block.num_rows);
    sums[p].recall_topk.add_weight(rows.sampled_rows);
    sums[p].recall_tau.add_weight(rows.sampled_rows);
  }
}

// Ranges and sums of every query's gates; then the own entries are put above all others.
void VmobaReducer::prepare(const Rows& rows, const PartitionLayout& partition) {
  std::array<float, kRowLanes> lo, hi;
  kernels_.min_max(rows.gate, partition.blocks, lo.data(), hi.data());
  std::copy(lo.begin(), lo.end(), lo_.begin());
  std::copy(hi.begin(), hi.end(), hi_.begin());
  std::fill(total_.begin(), total_.end(), 0.0);
  for (int64_t c = 0; c < partition.blocks; ++c) {
    const float* gate = rows.gate + c * kRowLanes;
    for (int lane = 0; lane < kRowLanes; ++lane) total_[lane] += gate[lane];
    std::fill_n(size_.begin() + c * kRowLanes, kRowLanes, partition.size[c]);
  }
  std::fill(own_.begin(), own_.end(), 0.0);
  for (int32_t lane = 0; lane < rows.block.num_rows; ++lane) {
    float& own = rows.gate[rows.self[lane] * kRowLanes + lane];
    own_[lane] = own;
    own = kInfinity;
  }
}

// Fills the ranked buffers of the partition at hand.
void VmobaReducer::rank_blocks(const PartitionLayout& partition) {
  const int64_t padded = sort_rows(partition.blocks);
  const float* gate = &gates_[partition.first_block * kRowLanes];
  std::copy_n(gate, partition.blocks * kRowLanes, ranked_gate_.begin());
  std::fill_n(ranked_gate_.begin() + partition.blocks * kRowLanes,
              (padded - partition.blocks) * kRowLanes, -kInfinity);
  fill_row_indices(index_);
  kernels_.sort_columns_indexed(ranked_gate_.data(), index_.data(), padded);
  kernels_.gather(mass_.data(), index_.data(), partition.blocks, ranked_mass_.data());
  kernels_.gather(size_.data(), index_.data(), partition.blocks, ranked_size_.data());
}

void VmobaReducer::add_topk(const Rows& rows, const PartitionLayout& partition, VmobaSums& sums) {
  const auto tokens = static_cast<double>(layout_.video_tokens);
  std::vector<double> mass(partition.blocks), size(partition.blocks);
  kernels_.weighted_sums(ranked_mass_.data(), partition.blocks, rows.sampled, mass.data());
  kernels_.weighted_sums(ranked_size_.data(), partition.blocks, rows.every.data(), size.data());
  double kept_mass = 0.0, kept_size = 0.0;
  for (int64_t k = 0; k < partition.blocks; ++k) {
    kept_mass += mass[k];
    kept_size += size[k];
    sums.recall_topk.add_at(k, kept_mass);
    sums.density_topk.add_at(k, kept_size / tokens);
  }
}

void VmobaReducer::add_query_head(const Rows& rows, const PartitionLayout& partition,
                                  VmobaSums& sums) {
  const auto blocks = static_cast<double>(partition.blocks);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    const PoolRange range{lo_[lane], hi_[lane]};
    inverse_width_[lane] = 1.0 / range.width();
    const double own = (own_[lane] - range.lo) * inverse_width_[lane];
    const double total = (total_[lane] - blocks * range.lo) * inverse_width_[lane];
    for (int64_t i = 0; i < kNumTaus; ++i) {
      needed_[i * kRowLanes + lane] = needed_weight(kTaus[i], own, total);
    }
  }
  kernels_.pool_sums({.rows = partition.blocks - 1,
                      .gate = ranked_gate_.data() + kRowLanes,
                      .mass = ranked_mass_.data() + kRowLanes,
                      .size = ranked_size_.data() + kRowLanes,
                      .lo = lo_.data(),
                      .inverse_width = inverse_width_.data(),
                      .needed = needed_.data(),
                      .num_taus = kNumTaus,
                      .cumulative = cumulative_.data(),
                      .mass_sum = pool_mass_.data(),
                      .size_sum = pool_size_.data()});
  const auto tokens = static_cast<double>(layout_.video_tokens);
  for (int64_t i = 0; i < kNumTaus; ++i) {
    double mass = 0.0, size = 0.0;
    for (int32_t lane = 0; lane < rows.block.num_rows; ++lane) {
      mass += rows.sampled[lane] * (ranked_mass_[lane] + pool_mass_[i * kRowLanes + lane]);
      size += ranked_size_[lane] + pool_size_[i * kRowLanes + lane];
    }
    sums.recall_tau.add_at(i, mass);
    sums.density_tau.add_at(i, size / tokens);
  }
}

template <typename CutOf>
void VmobaReducer::add_cut(const Rows& rows, const PartitionLayout& partition, const CutOf& cut_of,
                           int64_t curve_idx, VmobaSums& sums) {
  const auto head = static_cast<int32_t>(rows.head);
  std::array<float, kRowLanes> mass, size;
  for (int32_t c = 0; c < partition.blocks; ++c) {
    thresholds_[c] = cut_of(c).threshold(c, head);
  }
  kernels_.row_threshold_sums(rows.gate, mass_.data(), partition.size.data(), partition.blocks,
                              thresholds_.data(), mass.data(), size.data());
  // Entries of the cut's own gate, block and head that rank behind it were counted too.
  for (int32_t c = 0; c < partition.blocks; ++c) {
    const GateCut& cut = cut_of(c);
    if (!cut.tied || cut.block != c || cut.head != head) continue;
    for (int32_t lane = 0; lane < rows.block.num_rows; ++lane) {
      const int64_t at = c * kRowLanes + lane;
      if (rows.gate[at] != cut.gate || rows.rank[lane] <= cut.rank) continue;
      mass[lane] -= mass_[at];
      size[lane] -= partition.size[c];
    }
  }
  double kept_mass = 0.0, kept_size = 0.0;
  for (int32_t lane = 0; lane < rows.block.num_rows; ++lane) {
    kept_mass += static_cast<double>(rows.sampled[lane]) * mass[lane];
    kept_size += size[lane];
  }
  sums.recall_tau.add_at(curve_idx, kept_mass);
  sums.density_tau.add_at(curve_idx, kept_size / static_cast<double>(layout_.video_tokens));
}

void VmobaReducer::add_pools(const Rows& rows, const PartitionLayout& partition,
                             const PartitionCuts& cuts, VmobaSums& sums) {
  const auto curve = [](GatePool pool, int64_t tau) {
    return static_cast<int64_t>(pool) * kNumTaus + tau;
  };
  for (int64_t i = 0; i < kNumTaus; ++i) {
    const GateCut& of_head = cuts.head_global[rows.head * kNumTaus + i];
    add_cut(
        rows, partition, [&](int32_t) -> const GateCut& { return of_head; },
        curve(GatePool::kHeadGlobal, i), sums);
    add_cut(
        rows, partition, [&](int32_t c) -> const GateCut& { return cuts.block[c * kNumTaus + i]; },
        curve(GatePool::kBlock, i), sums);
    add_cut(
        rows, partition, [&](int32_t) -> const GateCut& { return cuts.overall[i]; },
        curve(GatePool::kOverall, i), sums);
  }
}

}  // namespace sparsescope
