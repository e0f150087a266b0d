// Builds the lists of a DeviceSelection from bit rows on the device.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cuda/select_strands.h"
#include "kernels/cuda/select_tile_lists.h"
#include "sparse/device_selection.h"

namespace sparsescope {

// Kept queries and what becomes of the pruned ones, as cuda::QuerySelect writes it.
struct KeptRows {
  cuda::DeviceArray<int32_t> rows;  // a tail has room for the text
  cuda::DeviceArray<int32_t> restore_from;
  cuda::DeviceArray<int32_t> first_copy, copy_tokens;
};

class DeviceListBuilder {
 public:
  DeviceListBuilder(std::shared_ptr<DeviceTokenLayout> layout, DevicePlanes planes, int64_t heads);

  const DevicePlanes& planes() const { return selection_.planes_; }

  // Every query tile with all its rows, top_k[i] key tiles each in plane i; mask: bit rows [planes,
  // N].
  DeviceSelection all_rows(const uint32_t* mask, const std::vector<int32_t>& top_k,
                           const int32_t* device_top_k);
  // Kept queries; counts: bits of each bit row.
  DeviceSelection kept_rows(const uint32_t* mask, const int32_t* counts, const TileOffsets& kept,
                            KeptRows rows);
  // Queries that chose blocks; mask: bit rows [planes, S_video].
  DeviceSelection chosen_rows(const uint32_t* mask);

 private:
  const TokenLayout& host_layout() const { return selection_.layout_->host(); }
  bool has_text() const { return host_layout().text_tokens() > 0; }
  // The places of lists that stand in groups of size counts.
  struct Places {
    cuda::DeviceArray<int64_t> in_group;  // [groups, size]
    cuda::DeviceArray<int64_t> totals;    // [groups]
  };
  static Places find_places(const int32_t* counts, int64_t groups, int64_t size, int32_t extra);
  // The lists' places in the call are set, and there is room for num_ids entries.
  DeviceSelection tile_lists(cuda::TileLists call, const TileOffsets& offsets, int64_t plane_rows,
                             int64_t num_ids);
  void begin_strands(int64_t of_plane);
  // The text's strands; then sorts all of them.
  DeviceSelection finish(int64_t text_row, int64_t video_items, int32_t* text_rows);

  DeviceSelection selection_;
  cuda::DeviceArray<SparseStrand> strands_;
  cuda::DeviceArray<int64_t> strand_pairs_;
  int64_t strands_of_plane_ = 0;
};

}  // namespace sparsescope
