// Builds the lists of a DeviceSelection from bit rows on the device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/cuda/select_strands.h"
#include "sparse/device_selection.h"

namespace sparsescope {

class DeviceListBuilder {
 public:
  DeviceListBuilder(std::shared_ptr<DeviceTokenLayout> layout, DevicePlanes planes, int64_t heads);

  const DevicePlanes& planes() const { return selection_.planes_; }

  // Every query tile with all its rows; mask: bit rows [planes, N]. num_ids: bits set in it.
  DeviceSelection all_rows(const uint32_t* mask, int64_t num_ids);
  // Kept queries, rows [planes, kept rows] of which a tail has room for the text.
  DeviceSelection kept_rows(const uint32_t* mask, const TileOffsets& kept,
                            cuda::DeviceArray<int32_t> rows,
                            cuda::DeviceArray<int32_t> restore_from);
  // Queries that chose blocks; mask: bit rows [planes, S_video].
  DeviceSelection chosen_rows(const uint32_t* mask);

 private:
  const TokenLayout& host_layout() const { return selection_.layout_->host(); }
  bool has_text() const { return host_layout().text_tokens() > 0; }
  // The places of lists that stand in groups of size counts.
  struct Places {
    cuda::DeviceArray<int64_t> in_group;  // [groups, size]
    cuda::DeviceArray<int64_t> of_group;  // [groups]
    cuda::DeviceArray<int64_t> totals;    // [sets], over the groups of a set
  };
  static Places find_places(const cuda::DeviceArray<int32_t>& counts, int64_t groups, int64_t size,
                            int64_t sets);
  DeviceSelection tile_lists(const uint32_t* mask, const TileOffsets& offsets, int64_t plane_rows,
                             std::optional<int64_t> num_ids);
  void begin_strands(int64_t of_plane);
  // The text's strands; then sorts all of them.
  DeviceSelection finish(int64_t text_row, int64_t text_range, int64_t video_items,
                         int32_t* text_rows);

  DeviceSelection selection_;
  cuda::DeviceArray<SparseStrand> strands_;
  cuda::DeviceArray<int64_t> strand_pairs_;
  int64_t strands_of_plane_ = 0;
};

}  // namespace sparsescope
