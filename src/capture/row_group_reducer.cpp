#include "capture/row_group_reducer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "capture/query_columns.h"
#include "capture/sorted_columns.h"

namespace sparsescope {
namespace {

constexpr int64_t kNumFractions = std::ssize(kFractions);
using Lanes = std::array<float, kRowLanes>;

Lanes lanes_between(int32_t first, int32_t count) {
  Lanes lanes{};
  std::fill_n(lanes.begin() + first, count, 1.0f);
  return lanes;
}

double sum_of(const float* lanes, int32_t count) {
  double sum = 0.0;
  for (int32_t lane = 0; lane < count; ++lane) sum += lanes[lane];
  return sum;
}

}  // namespace

struct RowGroupReducer::TileSpan {
  int32_t block_idx;  // in the group
  int32_t first_lane, num_lanes;
  int32_t first_row;  // in the tile
};

RowGroupReducer::RowGroupReducer(const ReductionContext& context)
    : context_(context),
      num_tiles_(context.layout.num_tiles),
      head_dim_(context.q.head_dim),
      counts_(coverage_counts(num_tiles_)),
      heads_(context.q.heads, HeadSums(context.layout)),
      batch_(context.layout, head_dim_, context.kernels),
      vmoba_(context.layout, context.cuts, context.kernels),
      sorted_(sort_rows(num_tiles_) * kRowLanes),
      covered_(kNumFractions * kRowLanes) {
  const TokenGrid& grid = context.layout.grid();
  sums_.resize(std::max({num_tiles_, head_dim_, grid.t, grid.h, grid.w}));
}

void RowGroupReducer::add(const RowGroupMasses& masses) {
  if (masses.head != head_) start_head(masses.head);
  HeadSums& sums = heads_[head_];
  const RowGroup& group = context_.layout.rows.groups[masses.group];
  for (int32_t b = 0; b < masses.num_blocks; ++b) {
    load_block(masses.blocks[b], b);
    add_rows(masses.blocks[b], b, sums);
    const int64_t block = group.first_block + b;
    if (!context_.layout.partitions.empty()) add_vmoba(masses.blocks[b], b, block, sums);
    add_axis(context_.layout.axes[0], block, masses.blocks[b].mass_t, sums.pairs_t);
    add_axis(context_.layout.axes[1], block, masses.blocks[b].mass_h, sums.pairs_h);
    add_axis(context_.layout.axes[2], block, masses.blocks[b].mass_w, sums.pairs_w);
  }
  for (int32_t i = 0; i < group.num_tiles; ++i) {
    add_tile(masses, context_.layout.rows.tiles[group.first_tile + i], sums);
  }
}

void RowGroupReducer::start_head(int64_t head) {
  if (head_ >= 0) vmoba_.flush(heads_[head_].vmoba);
  head_ = head;
  batch_.start_head(context_.means.tiles_of(head_), &heads_[head_]);
}

void RowGroupReducer::finish() {
  batch_.flush();
  if (head_ >= 0) vmoba_.flush(heads_[head_].vmoba);
}

void RowGroupReducer::load_block(const RowBlockMasses& block, int32_t block_idx) {
  const CallLayout& layout = context_.layout;
  const size_t needed = static_cast<size_t>(block_idx) + 1;
  if (columns_.size() < needed) {
    tile_mass_.resize(needed);
    combined_.resize(needed);
    columns_.resize(needed, std::vector<float>(head_dim_ * kRowLanes));
    norms_.resize(needed, std::vector<double>(kRowLanes));
  }
  tile_mass_[block_idx] = block.mass;
  if (!layout.cells_are_tiles) {
    combined_[block_idx].resize(num_tiles_ * kRowLanes);
    context_.kernels.combine(block.mass, layout.tile_of_cell.data(), layout.cells.num_video_cells,
                             num_tiles_, combined_[block_idx].data());
    tile_mass_[block_idx] = combined_[block_idx].data();
  }
  float* columns = columns_[block_idx].data();
  load_columns(context_.q, 0, head_, &layout.rows.order[block.first_row], block.num_rows,
               context_.kernels, columns);
  Lanes squares{};
  for (int64_t d = 0; d < head_dim_; ++d) {
    const float* row = columns + d * kRowLanes;
    for (int lane = 0; lane < kRowLanes; ++lane) squares[lane] += row[lane] * row[lane];
  }
  for (int lane = 0; lane < kRowLanes; ++lane) {
    norms_[block_idx][lane] = std::sqrt(static_cast<double>(squares[lane]));
  }
}

// What concerns single rows.
void RowGroupReducer::add_rows(const RowBlockMasses& block, int32_t block_idx, HeadSums& sums) {
  const CallLayout& layout = context_.layout;
  const double rows = block.num_rows;
  sums.entropy.add(std::array{sum_of(block.entropy, block.num_rows)}, rows);
  const float* text = block.mass + int64_t{layout.cells.num_video_cells} * kRowLanes;
  sums.text_mass.add(std::array{layout.has_text() ? sum_of(text, block.num_rows) : 0.0}, rows);

  Lanes sampled{};
  std::copy_n(&layout.sample_weight[block.first_row], block.num_rows, sampled.begin());
  const double sampled_rows = sum_of(sampled.data(), block.num_rows);
  if (sampled_rows > 0.0) {
    copy_padded(tile_mass_[block_idx], num_tiles_, -1.0f, sorted_);
    context_.kernels.sort_columns(sorted_.data(), sort_rows(num_tiles_));
    context_.kernels.prefix_sums(sorted_.data(), counts_.data(), kNumFractions, covered_.data());
    std::array<double, kNumFractions> covered;
    context_.kernels.weighted_sums(covered_.data(), kNumFractions, sampled.data(), covered.data());
    sums.coverage_row.add(covered, sampled_rows);
  }
}

void RowGroupReducer::add_vmoba(const RowBlockMasses& block, int32_t block_idx, int64_t row_block,
                                HeadSums& sums) {
  Lanes sampled{};
  std::copy_n(&context_.layout.sample_weight[block.first_row], block.num_rows, sampled.begin());
  vmoba_.add({.head = head_,
              .block = row_block,
              .num_rows = block.num_rows,
              .cell_mass = block.mass,
              .tile_mass = tile_mass_[block_idx],
              .columns = columns_[block_idx].data(),
              .sampled = sampled.data()},
             sums.vmoba);
}

void RowGroupReducer::add_axis(const AxisLanes& lanes, int64_t block, const float* mass,
                               AxisPairs& pairs) {
  for (int32_t entry = lanes.first[block]; entry < lanes.first[block + 1]; ++entry) {
    const float* weight = &lanes.weight[int64_t{entry} * kRowLanes];
    context_.kernels.weighted_sums(mass, lanes.extent, weight, sums_.data());
    pairs.add(lanes.coordinate[entry], {sums_.data(), static_cast<size_t>(lanes.extent)},
              sum_of(weight, kRowLanes));
  }
}

// What concerns a whole tile: its mean masses and mean query.
void RowGroupReducer::add_tile(const RowGroupMasses& masses, const TileRows& tile, HeadSums& sums) {
  const RowStatsKernels& kernels = context_.kernels;
  std::vector<TileSpan> spans;
  std::vector<double> mass(num_tiles_), query(head_dim_);
  for (int32_t b = 0; b < masses.num_blocks; ++b) {
    const RowBlockMasses& block = masses.blocks[b];
    const int32_t first = std::max(tile.first, block.first_row);
    const int32_t end = std::min(tile.first + tile.count, block.first_row + block.num_rows);
    if (first >= end) continue;
    spans.push_back({b, first - block.first_row, end - first, first - tile.first});
    const Lanes weight = lanes_between(spans.back().first_lane, spans.back().num_lanes);
    kernels.weighted_sums(tile_mass_[b], num_tiles_, weight.data(), sums_.data());
    for (int64_t j = 0; j < num_tiles_; ++j) mass[j] += sums_[j];
    kernels.weighted_sums(columns_[b].data(), head_dim_, weight.data(), sums_.data());
    for (int64_t d = 0; d < head_dim_; ++d) query[d] += sums_[d];
  }
  std::vector<float> mean_mass(num_tiles_), scaled_query(head_dim_);
  for (int64_t j = 0; j < num_tiles_; ++j) mean_mass[j] = static_cast<float>(mass[j] / tile.count);
  for (int64_t d = 0; d < head_dim_; ++d) {
    scaled_query[d] = static_cast<float>(query[d] / tile.count * context_.scale);
  }
  batch_.add(scaled_query, mean_mass, static_cast<float>(tile.count));
  if (context_.map != nullptr) {
    std::copy(mean_mass.begin(), mean_mass.end(),
              context_.map + (head_ * num_tiles_ + tile.tile) * num_tiles_);
  }

  double overlap = 0.0;
  for (const TileSpan& span : spans) {
    Lanes difference;
    kernels.absolute_difference(tile_mass_[span.block_idx], num_tiles_, mean_mass.data(),
                                span.first_lane, span.num_lanes, difference.data());
    overlap += span.num_lanes - 0.5 * sum_of(&difference[span.first_lane], span.num_lanes);
  }
  sums.row_overlap.add(std::array{overlap}, tile.count);
  add_cosines(tile, spans, sums);
}

void RowGroupReducer::add_cosines(const TileRows& tile, const std::vector<TileSpan>& spans,
                                  HeadSums& sums) {
  const CallLayout& layout = context_.layout;
  std::vector<float> centre(head_dim_);
  const int32_t centre_token = layout.centre_token[tile.tile];
  load_row(context_.q, 0, head_, centre_token, centre.data());
  double square = 0.0;
  for (const float value : centre) square += static_cast<double>(value) * value;
  for (const TileSpan& span : spans) {
    Lanes products;
    context_.kernels.products(centre.data(), 1, head_dim_, columns_[span.block_idx].data(),
                              products.data(), kRowLanes);
    const int32_t* tokens = &layout.rows.order[tile.first + span.first_row];
    for (int32_t i = 0; i < span.num_lanes; ++i) {
      if (tokens[i] == centre_token) continue;
      const int32_t lane = span.first_lane + i;
      sums.query_cosine.add(products[lane], norms_[span.block_idx][lane], std::sqrt(square));
    }
  }
}

}  // namespace sparsescope
