#include "capture/row_group_reducer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "capture/lane_sums.h"
#include "capture/query_columns.h"

namespace sparsescope {

struct RowGroupReducer::TileSpan {
  int32_t block_idx;  // in the group
  int32_t first_lane, num_lanes;
  int32_t first_row;  // in the tile
};

RowGroupReducer::RowGroupReducer(const ReductionContext& context)
    : context_(context),
      num_tiles_(context.layout.num_tiles),
      head_dim_(context.q.head_dim),
      heads_(context.q.heads, HeadSums(context.layout)),
      batch_(context.layout, head_dim_, context.kernels),
      row_order_(context),
      mass_sum_(num_tiles_),
      query_sum_(head_dim_),
      mean_mass_(num_tiles_),
      scaled_query_(head_dim_),
      centre_(head_dim_) {
  const TokenGrid& grid = context.layout.grid();
  sums_.resize(std::max({num_tiles_, head_dim_, grid.t, grid.h, grid.w}));
}

RowGroupReducer::~RowGroupReducer() = default;
RowGroupReducer::RowGroupReducer(RowGroupReducer&&) noexcept = default;

void RowGroupReducer::add(const RowGroupMasses& masses) {
  if (masses.head != head_) start_head(masses.head);
  HeadSums& sums = heads_[head_];
  const RowGroup& group = context_.layout.rows.groups[masses.group];
  for (int32_t b = 0; b < masses.num_blocks; ++b) {
    const RowBlockMasses& rows = masses.blocks[b];
    const int64_t block = group.first_block + b;
    load_block(rows, b);
    add_rows(rows, sums);
    row_order_.add(block, rows.mass, tile_mass_[b], columns_[b].data());
    add_axis(context_.layout.axes[0], block, rows.mass_t, sums.pairs_t);
    add_axis(context_.layout.axes[1], block, rows.mass_h, sums.pairs_h);
    add_axis(context_.layout.axes[2], block, rows.mass_w, sums.pairs_w);
  }
  for (int32_t i = 0; i < group.num_tiles; ++i) {
    add_tile(masses, context_.layout.rows.tiles[group.first_tile + i], sums);
  }
}

void RowGroupReducer::start_head(int64_t head) {
  head_ = head;
  row_order_.start_head(head, &heads_[head]);
  batch_.start_head(context_.means.tiles_of(head), &heads_[head]);
}

void RowGroupReducer::finish() {
  batch_.flush();
  row_order_.flush();
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
void RowGroupReducer::add_rows(const RowBlockMasses& block, HeadSums& sums) {
  const CallLayout& layout = context_.layout;
  const double rows = block.num_rows;
  sums.entropy.add(std::array{sum_of(block.entropy, block.num_rows)}, rows);
  const float* text = block.mass + int64_t{layout.cells.num_video_cells} * kRowLanes;
  sums.text_mass.add(std::array{layout.has_text() ? sum_of(text, block.num_rows) : 0.0}, rows);
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
  spans_.clear();
  std::fill(mass_sum_.begin(), mass_sum_.end(), 0.0);
  std::fill(query_sum_.begin(), query_sum_.end(), 0.0);
  const auto add = [&](const float* lanes, const Lanes& weight, std::vector<double>& to) {
    kernels.weighted_sums(lanes, std::ssize(to), weight.data(), sums_.data());
    for (size_t i = 0; i < to.size(); ++i) to[i] += sums_[i];
  };
  for (int32_t b = 0; b < masses.num_blocks; ++b) {
    const RowBlockMasses& block = masses.blocks[b];
    const int32_t first = std::max(tile.first, block.first_row);
    const int32_t end = std::min(tile.first + tile.count, block.first_row + block.num_rows);
    if (first >= end) continue;
    spans_.push_back({b, first - block.first_row, end - first, first - tile.first});
    const Lanes weight = lanes_between(spans_.back().first_lane, spans_.back().num_lanes);
    add(tile_mass_[b], weight, mass_sum_);
    add(columns_[b].data(), weight, query_sum_);
  }
  const double inverse = 1.0 / tile.count, scaled = context_.scale * inverse;
  for (int64_t j = 0; j < num_tiles_; ++j)
    mean_mass_[j] = static_cast<float>(mass_sum_[j] * inverse);
  for (int64_t d = 0; d < head_dim_; ++d) {
    scaled_query_[d] = static_cast<float>(query_sum_[d] * scaled);
  }
  sums.offset_mass.add(tile.tile, mass_sum_, tile.count);
  batch_.add(scaled_query_, mean_mass_, static_cast<float>(tile.count));
  if (context_.map != nullptr) {
    std::copy(mean_mass_.begin(), mean_mass_.end(),
              context_.map + (head_ * num_tiles_ + tile.tile) * num_tiles_);
  }

  double overlap = 0.0;
  for (const TileSpan& span : spans_) {
    Lanes difference;
    kernels.absolute_difference(tile_mass_[span.block_idx], num_tiles_, mean_mass_.data(),
                                span.first_lane, span.num_lanes, difference.data());
    overlap += span.num_lanes - 0.5 * sum_of(&difference[span.first_lane], span.num_lanes);
  }
  sums.row_overlap.add(std::array{overlap}, tile.count);
  add_cosines(tile, sums);
}

void RowGroupReducer::add_cosines(const TileRows& tile, HeadSums& sums) {
  const CallLayout& layout = context_.layout;
  const int32_t centre_token = layout.centre_token[tile.tile];
  load_row(context_.q, 0, head_, centre_token, centre_.data());
  double square = 0.0;
  for (const float value : centre_) square += static_cast<double>(value) * value;
  const double centre_norm = std::sqrt(square);
  for (const TileSpan& span : spans_) {
    Lanes products;
    context_.kernels.products(centre_.data(), 1, head_dim_, columns_[span.block_idx].data(),
                              products.data(), kRowLanes);
    const int32_t* tokens = &layout.rows.order[tile.first + span.first_row];
    for (int32_t i = 0; i < span.num_lanes; ++i) {
      if (tokens[i] == centre_token) continue;
      const int32_t lane = span.first_lane + i;
      sums.query_cosine.add(products[lane], norms_[span.block_idx][lane], centre_norm);
    }
  }
}

}  // namespace sparsescope
