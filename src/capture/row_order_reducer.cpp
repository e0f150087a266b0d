#include "capture/row_order_reducer.h"

#include <algorithm>

#include "capture/lane_sums.h"
#include "capture/query_columns.h"
#include "capture/sorted_columns.h"

namespace sparsescope {
namespace {

constexpr int64_t kNumFractions = std::ssize(kFractions);

}  // namespace

RowOrderReducer::RowOrderReducer(const ReductionContext& context)
    : context_(context),
      counts_(coverage_counts(context.layout.num_tiles)),
      vmoba_(context.layout, context.cuts, context.kernels),
      sorted_(sort_rows(context.layout.num_tiles) * kRowLanes),
      covered_(kNumFractions * kRowLanes) {
  if (context.layout.sampled.all) return;
  collected_.resize(context.layout.cells.num_video_cells * kRowLanes);
  cell_mass_.resize(context.layout.cells.num_video_cells * kRowLanes);
  if (!context.layout.cells_are_tiles) tile_mass_.resize(context.layout.num_tiles * kRowLanes);
  queries_.resize(context.q.head_dim * kRowLanes);
}

void RowOrderReducer::start_head(int64_t head, HeadSums* sums) {
  flush();
  head_ = head;
  sums_ = sums;
}

void RowOrderReducer::flush() {
  if (pending_ > 0) reduce_collected();
  if (sums_ != nullptr) vmoba_.flush(sums_->vmoba);
}

void RowOrderReducer::add(int64_t block, const float* cell_mass, const float* tile_mass,
                          const float* queries) {
  const CallLayout& layout = context_.layout;
  if (!layout.sampled.all) {
    collect(block, cell_mass);
    return;
  }
  const RowBlock& rows = layout.sampled.blocks[block];
  add_coverage(tile_mass, rows.count);
  if (layout.partitions.empty()) return;
  const GateRows gates = context_.cuts.store->read_block(head_, block, queries, gates_);
  vmoba_.add({head_, RowNumbers(rows), cell_mass, tile_mass, gates}, sums_->vmoba);
}

void RowOrderReducer::collect(int64_t block, const float* cell_mass) {
  const SampledRows& sampled = context_.layout.sampled;
  const int64_t cells = context_.layout.cells.num_video_cells;
  for (int32_t first = sampled.first[block]; first < sampled.first[block + 1];) {
    const int32_t count = std::min(sampled.first[block + 1] - first, kRowLanes - pending_);
    context_.kernels.extract_lanes(cell_mass, cells, &sampled.lane[first], count,
                                   &collected_[pending_ * cells]);
    std::iota(&number_[pending_], &number_[pending_] + count, first);
    pending_ += count;
    first += count;
    if (pending_ == kRowLanes) reduce_collected();
  }
}

void RowOrderReducer::reduce_collected() {
  const CallLayout& layout = context_.layout;
  const int64_t cells = layout.cells.num_video_cells;
  std::array<const float*, kRowLanes> row;
  for (int32_t i = 0; i < pending_; ++i) row[i] = &collected_[i * cells];
  context_.kernels.transpose(row.data(), pending_, cells, cell_mass_.data());
  const float* tile_mass = cell_mass_.data();
  if (!layout.cells_are_tiles) {
    context_.kernels.combine(cell_mass_.data(), layout.tile_of_cell.data(), cells, layout.num_tiles,
                             tile_mass_.data());
    tile_mass = tile_mass_.data();
  }
  add_coverage(tile_mass, pending_);
  if (!layout.partitions.empty()) {
    const auto rows = std::span<const int32_t>(number_).first(pending_);
    std::array<int32_t, kRowLanes> token;
    std::transform(rows.begin(), rows.end(), token.begin(),
                   [&](int32_t number) { return layout.sampled.token[number]; });
    load_columns(context_.q, 0, head_, token.data(), pending_, context_.kernels, queries_.data());
    const GateRows gates = context_.cuts.store->compute_rows(head_, rows, queries_.data(), gates_);
    vmoba_.add({head_, rows, cell_mass_.data(), tile_mass, gates}, sums_->vmoba);
  }
  pending_ = 0;
}

void RowOrderReducer::add_coverage(const float* tile_mass, int32_t num_rows) {
  const RowStatsKernels& kernels = context_.kernels;
  const int64_t tiles = context_.layout.num_tiles;
  copy_padded(tile_mass, tiles, -1.0f, sorted_);
  kernels.sort_columns(sorted_.data(), sort_rows(tiles));
  kernels.prefix_sums(sorted_.data(), counts_.data(), kNumFractions, covered_.data());
  const Lanes weight = lanes_between(0, num_rows);
  std::array<double, kNumFractions> covered;
  kernels.weighted_sums(covered_.data(), kNumFractions, weight.data(), covered.data());
  sums_->coverage_row.add(covered, num_rows);
}

}  // namespace sparsescope
