// A call's layout on the device, and how the sums that are reduced there (kernels/cuda/
// mass_reduction.h, gate_reduction.h) are read as those that the reducers of the host make.
//
// Key cells finer than tiles concern VMoBA's statistics alone, which are measured on the sampled
// rows. Where these are not all rows, they get a pass of their own: the pass over all rows then
// keeps masses by tile.
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

  // Of the pass over all rows.
  const KeyCells& cells() const { return tile_cells_ ? *tile_cells_ : layout_.cells; }
  const RowGroups& rows() const { return layout_.rows; }
  // Of the pass over sampled rows; null where the other pass serves them too.
  const RowGroups* sampled_rows() const { return sampled_rows_ ? &*sampled_rows_ : nullptr; }
  const KeyCells& sampled_cells() const { return layout_.cells; }

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
  std::optional<RowGroups> sampled_rows_;
  std::shared_ptr<const cuda::ReductionTables> tables_;
  std::shared_ptr<const cuda::GateTables> gate_tables_;
};

}  // namespace sparsescope
