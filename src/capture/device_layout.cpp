#include "capture/device_layout.h"

#include <array>

#include "capture/gaussian_cut.h"
#include "capture/query_windows.h"
#include "capture/sorted_columns.h"

namespace sparsescope {
namespace {

cuda::AxisEntries axis_entries(const AxisLanes& lanes) {
  cuda::AxisEntries entries{
      .extent = lanes.extent, .first = lanes.first, .coordinate = lanes.coordinate};
  entries.lanes.resize(lanes.coordinate.size());
  for (size_t entry = 0; entry < entries.lanes.size(); ++entry) {
    for (size_t lane = 0; lane < kRowLanes; ++lane) {
      if (lanes.weight[entry * kRowLanes + lane] != 0.0f) {
        entries.lanes[entry] |= uint64_t{1} << lane;
      }
    }
  }
  return entries;
}

// All coordinates of an axis have as many rows.
void add_pairs(std::span<const double> sums, int64_t extent, int64_t tokens, AxisPairs& pairs) {
  for (int64_t a = 0; a < extent; ++a) {
    pairs.add(a, sums.subspan(a * extent, extent), static_cast<double>(tokens / extent));
  }
}

void add_gates(const cuda::ReducedGates& gates, int64_t rows, int64_t tokens, VmobaSums& sums) {
  const auto densities = [&](std::vector<double> kept) {
    for (double& tokens_kept : kept) tokens_kept /= static_cast<double>(tokens);
    return kept;
  };
  const auto weight = static_cast<double>(rows);
  sums.recall_topk.add(gates.topk_mass, weight);
  sums.density_topk.add(densities(gates.topk_tokens), weight);
  sums.recall_tau.add(gates.tau_mass, weight);
  sums.density_tau.add(densities(gates.tau_tokens), weight);
}

int64_t windows_within(const Box& box, const TileShape& window) {
  const auto along = [](int64_t extent, int64_t size) { return (extent + size - 1) / size; };
  return along(box.t, window.t) * along(box.h, window.h) * along(box.w, window.w);
}

}  // namespace

DeviceLayout::DeviceLayout(const CallLayout& layout)
    : layout_(layout), windows_(query_windows(layout.cells.tiles)) {
  if (!layout.partitions.empty()) {
    tile_cells_ = make_key_cells(layout.cells.tiles, {}, layout.prefix, layout.suffix);
  }
  cuda::ReductionLayout reduction{.cells = &cells(),
                                  .rows = &layout.rows,
                                  .sampled_first = layout.sampled.first,
                                  .sampled_lane = layout.sampled.lane,
                                  .windows = windows_,
                                  .kept = coverage_counts(layout.num_tiles)};
  for (int axis = 0; axis < 3; ++axis) reduction.axes[axis] = axis_entries(layout.axes[axis]);
  for (const double kappa : kFractions) reduction.cuts.push_back(gaussian_cut(kappa));
  tables_ = cuda::make_reduction_tables(reduction);
  if (!layout.partitions.empty()) make_gate_tables();
}

void DeviceLayout::make_gate_tables() {
  cuda::GateLayout gates{.cells = &layout_.cells, .row_token = layout_.sampled.token};
  for (const PartitionLayout& partition : layout_.partitions) {
    gates.partitions.push_back({.first_block = partition.first_block,
                                .num_blocks = partition.blocks,
                                .size = partition.size,
                                .self = partition.self,
                                .finer = partition.finer,
                                .block_of_finer = partition.block_of_finer});
  }
  gate_tables_ = cuda::make_gate_tables(gates);
}

HeadSums DeviceLayout::head_sums(const cuda::ReducedHead& head,
                                 const std::vector<cuda::ReducedGates>& gates) const {
  const auto rows = static_cast<double>(layout_.video_tokens);
  HeadSums sums(layout_);
  sums.coverage_row.add(head.coverage_row, static_cast<double>(layout_.sampled.size()));
  sums.coverage_tile.add(head.coverage_tile, rows);
  sums.coverage_pooled.add(head.coverage_pooled, rows);
  sums.key_mass.add(head.key_mass, rows);
  sums.bsa_density.add(head.bsa_density, rows);
  sums.bsa_recall.add(head.bsa_recall, rows);
  sums.score_moments.add(head.score_moments, static_cast<double>(layout_.num_tiles));
  sums.entropy.add(std::array{head.entropy}, rows);
  sums.text_mass.add(std::array{head.text_mass}, rows);
  sums.row_overlap.add(std::array{head.row_overlap}, rows);
  add_pairs(head.pairs[0], layout_.grid().t, layout_.video_tokens, sums.pairs_t);
  add_pairs(head.pairs[1], layout_.grid().h, layout_.video_tokens, sums.pairs_h);
  add_pairs(head.pairs[2], layout_.grid().w, layout_.video_tokens, sums.pairs_w);
  sums.offset_mass.add_sums(head.offset_mass, rows);
  sums.query_cosine.add_counts(head.query_cosine);
  for (size_t p = 0; p < gates.size(); ++p) {
    add_gates(gates[p], layout_.sampled.size(), layout_.video_tokens, sums.vmoba[p]);
  }
  return sums;
}

std::optional<StatArray> DeviceLayout::window_cosine(
    const std::vector<cuda::ReducedHead>& heads) const {
  if (windows_.empty()) return std::nullopt;
  StatArray array{.name = "window_cosine",
                  .shape = {std::ssize(heads), std::ssize(windows_)},
                  .axes = {"window"}};
  std::vector<double> rows;  // that are no centre
  for (const TileShape& window : windows_) {
    int64_t centres = 0;
    for (int64_t tile = 0; tile < layout_.num_tiles; ++tile) {
      centres += windows_within(layout_.cells.tiles.box(tile), window);
    }
    rows.push_back(static_cast<double>(layout_.video_tokens - centres));
  }
  for (const cuda::ReducedHead& head : heads) {
    for (size_t i = 0; i < windows_.size(); ++i) {
      array.values.push_back(head.window_cosine[i] / rows[i]);
    }
  }
  return array;
}

}  // namespace sparsescope
