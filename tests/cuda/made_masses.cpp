#include "cuda/made_masses.h"

#include <algorithm>
#include <cmath>

#include "core/rng.h"

namespace sparsescope::testing {
namespace {

constexpr int64_t kKeys = 64;

}  // namespace

MadeMasses::MadeMasses(const naive::Call& call, const KeyCells& cells, const RowGroups& rows)
    : cells_(cells), rows_(rows), prefix_(call.prefix) {
  const TokenGrid& grid = cells_.tiles.grid();
  num_bins_ = grid.t + grid.h + grid.w;
  make_pieces();
  const RowGroup& last = rows.groups[rows.num_video_groups - 1];
  const int64_t blocks = last.first_block + last.num_blocks;
  for (int64_t h = 0; h < call.heads; ++h) {
    const naive::Matrix probs = naive::probabilities(call, h);
    HeadMasses& masses = heads_.emplace_back();
    masses.cells.resize(blocks * std::ssize(cells_.cells) * kRowLanes);
    masses.row_factor.resize(blocks * kRowLanes);
    masses.lse.resize(blocks * kRowLanes);
    masses.entropy.resize(blocks * kRowLanes);
    masses.bins.resize(blocks * num_bins_ * kRowLanes);
    masses.piece_sums.resize(blocks * std::ssize(piece_cell_) * kRowLanes);
    for (int64_t b = 0; b < blocks; ++b) {
      const RowBlock& block = rows_.blocks[b];
      for (int64_t lane = 0; lane < block.count; ++lane) {
        add_row(probs[rows_.order[block.first + lane] - prefix_], b, lane, masses);
      }
    }
  }
}

void MadeMasses::make_pieces() {
  int64_t last_block = -1;
  for (size_t cell = 0; cell < cells_.cells.size(); ++cell) {
    const KeyCell& of_cell = cells_.cells[cell];
    for (int32_t at = of_cell.first; at < of_cell.first + of_cell.count; ++at) {
      if (piece_cell_.empty() || piece_cell_.back() != static_cast<int32_t>(cell) ||
          last_block != at / kKeys) {
        piece_cell_.push_back(static_cast<int32_t>(cell));
        last_block = at / kKeys;
      }
      piece_of_key_.push_back(static_cast<int32_t>(piece_cell_.size()) - 1);
    }
  }
}

void MadeMasses::add_row(const std::vector<double>& probs, int64_t block, int64_t lane,
                         HeadMasses& masses) {
  const TokenGrid& grid = cells_.tiles.grid();
  const auto place = [&](int64_t of_block, int64_t row) {
    return (block * of_block + row) * kRowLanes + lane;
  };
  const int64_t at = place(1, 0);
  masses.lse[at] = static_cast<float>(-3.0 + 11.0 * uniform(3, static_cast<uint64_t>(at)));
  const double lse_log2 = masses.lse[at] / std::log(2.0);
  double entropy = 0.0, top = 0.0;
  for (size_t key = 0; key < std::min<size_t>(kKeys, cells_.order.size()); ++key) {
    top = std::max(top, probs[cells_.order[key]]);
  }
  const double reference = std::log2(top) + lse_log2;
  for (size_t key = 0; key < piece_of_key_.size(); ++key) {
    const int32_t token = cells_.order[key], piece = piece_of_key_[key];
    const double p = probs[token];
    entropy -= p * std::log(p);
    masses.cells[place(std::ssize(cells_.cells), piece_cell_[piece])] += static_cast<float>(p);
    masses.piece_sums[place(std::ssize(piece_cell_), piece)] +=
        static_cast<float>(p * std::exp2(lse_log2 - reference));
    const int64_t raster = token - prefix_;
    if (raster < 0 || raster >= grid.tokens()) continue;
    for (const int64_t bin : {raster / (grid.h * grid.w), grid.t + raster / grid.w % grid.h,
                              grid.t + grid.h + raster % grid.w}) {
      masses.bins[place(num_bins_, bin)] += static_cast<float>(p);
    }
  }
  masses.entropy[at] = static_cast<float>(entropy);
  masses.row_factor[at] = static_cast<float>(std::exp2(reference - lse_log2));
}

RowGroupMasses MadeMasses::group(int64_t head, int32_t group,
                                 std::vector<RowBlockMasses>& blocks) const {
  const RowGroup& of_group = rows_.groups[group];
  const HeadMasses& masses = heads_[head];
  const TokenGrid& grid = cells_.tiles.grid();
  blocks.clear();
  for (int64_t b = of_group.first_block; b < of_group.first_block + of_group.num_blocks; ++b) {
    const RowBlock& block = rows_.blocks[b];
    const float* bins = &masses.bins[b * num_bins_ * kRowLanes];
    blocks.push_back({.first_row = block.first,
                      .num_rows = block.count,
                      .mass = &masses.cells[b * std::ssize(cells_.cells) * kRowLanes],
                      .lse = &masses.lse[b * kRowLanes],
                      .entropy = &masses.entropy[b * kRowLanes],
                      .mass_t = bins,
                      .mass_h = bins + grid.t * kRowLanes,
                      .mass_w = bins + (grid.t + grid.h) * kRowLanes});
  }
  return {.head = head, .group = group, .num_blocks = of_group.num_blocks, .blocks = blocks.data()};
}

MadeMasses::OnDevice MadeMasses::chunk(int32_t first_head, int32_t num_heads, int32_t first_block,
                                       int32_t num_blocks) const {
  // of_block: values of a row block
  const auto part = [&](std::vector<float> HeadMasses::*values, int64_t of_block) {
    std::vector<float> all;
    for (int32_t h = first_head; h < first_head + num_heads; ++h) {
      const auto begin = (heads_[h].*values).begin() + first_block * of_block;
      all.insert(all.end(), begin, begin + num_blocks * of_block);
    }
    return cuda::to_device(all, nullptr);
  };
  OnDevice made;
  made.piece_sums_ = part(&HeadMasses::piece_sums, std::ssize(piece_cell_) * kRowLanes);
  made.row_factor_ = part(&HeadMasses::row_factor, kRowLanes);
  made.lse_ = part(&HeadMasses::lse, kRowLanes);
  made.entropy_ = part(&HeadMasses::entropy, kRowLanes);
  made.bins_ = part(&HeadMasses::bins, num_bins_ * kRowLanes);
  made.piece_cell_ = cuda::to_device(piece_cell_, nullptr);
  made.chunk_ = {.first_head = first_head,
                 .num_heads = num_heads,
                 .first_row_block = first_block,
                 .num_row_blocks = num_blocks,
                 .num_pieces = static_cast<int32_t>(piece_cell_.size()),
                 .num_bins = static_cast<int32_t>(num_bins_),
                 .piece_sums = made.piece_sums_.data(),
                 .row_factor = made.row_factor_.data(),
                 .lse = made.lse_.data(),
                 .entropy = made.entropy_.data(),
                 .bins = made.bins_.data(),
                 .piece_cell = made.piece_cell_.data()};
  return made;
}

}  // namespace sparsescope::testing
