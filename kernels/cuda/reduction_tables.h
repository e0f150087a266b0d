// What a layout decides, on the device: built once, read by the reductions of every call.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/mass_reduction.h"
#include "kernels/cuda/reduce_axes.h"
#include "kernels/cuda/reduce_masses.h"
#include "kernels/cuda/reduce_orders.h"
#include "kernels/cuda/reduce_queries.h"
#include "kernels/cuda/reduce_sums.h"

namespace sparsescope::cuda {

// Where the sums of a head lie in its row of results.
struct ResultPlaces {
  // By tile: coverage_tile, coverage_pooled, bsa_density, bsa_recall [F], score_moments [4].
  int64_t tile_orders = 0;
  int64_t coverage_row = 0;  // [F]
  int64_t rows = 0;          // entropy, text mass
  int64_t difference = 0;
  int64_t key_mass = 0, offset_mass = 0;  // [N]
  std::array<int64_t, 3> pairs{};         // [extent, extent]
  int64_t windows = 0;
  int64_t size = 0;
};

struct DeviceAxis {
  std::vector<int32_t> first_on_host;  // [video row blocks + 1]
  DeviceBuffer<int32_t> first, coordinate_first, by_coordinate;
  DeviceBuffer<uint64_t> lanes;
  int32_t extent = 0, first_bin = 0;

  AxisTable table() const {
    return {extent,
            first_bin,
            first.data(),
            lanes.data(),
            coordinate_first.data(),
            by_coordinate.data()};
  }
};

struct ReductionTables {
  int32_t num_tiles = 0;         // N
  int32_t num_video_blocks = 0;  // row blocks
  int64_t video_tokens = 0;
  TileAxes tiles;
  int32_t num_fractions = 0, num_windows = 0;
  int32_t most_spans = 1;
  ResultPlaces places;
  std::vector<RowGroup> groups_on_host;        // of video rows
  std::vector<int32_t> sampled_first_on_host;  // [video row blocks + 1]

  DeviceBuffer<RowGroup> groups;
  DeviceBuffer<RowBlock> blocks;
  DeviceBuffer<int32_t> order;       // position -> token
  DeviceBuffer<TileRun> runs;        // [N]
  DeviceBuffer<float> sizes;         // [N] by tile
  DeviceBuffer<int32_t> tile_first;  // [N + 1] first cell
  DeviceBuffer<int32_t> span_first;
  DeviceBuffer<LaneSpan> spans;
  DeviceBuffer<uint8_t> slot;
  DeviceBuffer<int32_t> sampled_first;
  DeviceBuffer<uint8_t> sampled_lane;
  std::array<DeviceAxis, 3> axes;
  DeviceBuffer<Window> windows;
  DeviceBuffer<int32_t> kept;
  DeviceBuffer<double> cuts;

  SpanTable span_table() const {
    return {span_first.data(), spans.data(), slot.data(), most_spans};
  }
  Fractions fractions() const { return {kept.data(), cuts.data(), num_fractions}; }
};

}  // namespace sparsescope::cuda
