// A call's layout on the device, and how the sums that are reduced there (kernels/cuda/
// mass_reduction.h, gate_reduction.h) are read as those that the reducers of the host make.
//
// Key cells finer than tiles concern VMoBA's statistics alone, which have a pass of their own over
// the sampled rows: the pass over all rows keeps masses by tile.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "capture/call_layout.h"
#include "capture/reducers/head_sums.h"
#include "capture/site_statistics.h"
#include "kernels/cuda/gate_reduction.h"
#include "kernels/cuda/mass_reduction.h"

namespace sparsescope {

class DeviceLayout {
 public:
  // layout must outlive the object.
  explicit DeviceLayout(const CallLayout& layout);
  DeviceLayout(const DeviceLayout&) = delete;
  DeviceLayout& operator=(const DeviceLayout&) = delete;

  // Of the pass over all rows: cells are tiles.
  const KeyCells& cells() const { return tile_cells_ ? *tile_cells_ : layout_.cells; }
  const RowGroups& rows() const { return layout_.rows; }

  std::shared_ptr<const cuda::ReductionTables> tables() const { return tables_; }
  // Null without partitions.
  std::shared_ptr<const cuda::GateTables> gate_tables() const { return gate_tables_; }

  // gates [partitions]
  HeadSums head_sums(const cuda::ReducedHead& head,
                     const std::vector<cuda::ReducedGates>& gates) const;
  // As window_cosine (capture/window_cosine.h) makes it.
  std::optional<StatArray> window_cosine(const std::vector<cuda::ReducedHead>& heads) const;

 private:
  void make_gate_tables();

  const CallLayout& layout_;
  std::vector<TileShape> windows_;
  std::optional<KeyCells> tile_cells_;
  std::shared_ptr<const cuda::ReductionTables> tables_;
  std::shared_ptr<const cuda::GateTables> gate_tables_;
};

}  // namespace sparsescope
