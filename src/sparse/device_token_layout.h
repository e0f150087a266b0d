// A token layout on the device, and what selections on the device derive from it once: how the rows
// of tiles are summed, and which queries of a tile BSA lets compete.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cuda/device_array.h"
#include "kernels/cuda/select_means.h"
#include "kernels/cuda/select_queries.h"
#include "sparse/bsa_options.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// The (batch, head) pairs of a selection.
class DevicePlanes {
 public:
  DevicePlanes() = default;
  // heads: b * H + h
  explicit DevicePlanes(std::vector<int32_t> heads) : heads_(std::move(heads)), device_(heads_) {}
  const std::vector<int32_t>& heads() const { return heads_; }
  int64_t size() const { return std::ssize(heads_); }
  cuda::SelectPlanes view() const { return {device_.data(), static_cast<int32_t>(size())}; }

 private:
  std::vector<int32_t> heads_;
  cuda::DeviceArray<int32_t> device_;
};

// Where rows and items of each tile begin within a head.
struct TileOffsets {
  std::vector<int32_t> rows, items;                      // [N + 1]
  cuda::DeviceArray<int32_t> device_rows, device_items;  // the same
};

// What BSA's query options say about the layout's tiles.
struct QueryTables {
  BsaQueryOptions options;
  int32_t max_slots = 0;                     // of a tile
  TileOffsets kept;                          // rows are kept queries
  cuda::DeviceArray<cuda::QuerySlot> slots;  // [shapes, max_slots]
  cuda::DeviceArray<int32_t> shape_of_tile;  // [N]
};

class DeviceTokenLayout {
 public:
  // Error(kUnsupported) for more than cuda::kMaxSelectTiles tiles.
  explicit DeviceTokenLayout(std::shared_ptr<const TokenLayout> layout);

  const TokenLayout& host() const { return *layout_; }
  cuda::SelectLayout view() const;
  const TileOffsets& all_rows() const { return all_rows_; }
  // Kept until the next call with other options.
  const QueryTables& query_tables(const BsaQueryOptions& options);

  // [planes, N, padded_dim]
  cuda::DeviceArray<float> means(const AttentionTensor& x, const DevicePlanes& planes) const;

 private:
  std::shared_ptr<const TokenLayout> layout_;
  cuda::DeviceArray<int32_t> order_, tile_of_;
  cuda::DeviceArray<KeyRange> ranges_;
  TileOffsets all_rows_;
  cuda::DeviceArray<cuda::RowSegment> segments_;
  cuda::DeviceArray<int32_t> first_segment_;  // [N + 1]
  std::unique_ptr<QueryTables> query_tables_;
};

}  // namespace sparsescope
