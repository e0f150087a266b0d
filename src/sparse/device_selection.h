// Selection on the device: from q and k there to the kernel's work list there. Nothing but the
// lengths of lists comes back to the host on the way, where they are not known beforehand and their
// bound is large (VMoBA; BSA with many tiles).
//
// Scores are the host's, in fp32 and in the same order of sums, so that the selections are the same
// as those of the cpu implementations but where these round differently among each other (the
// cosines of BSA) or the matrix unit adds in another order (cosines and VMoBA's gates of 16-bit
// queries). All of it is deterministic.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/tensor_view.h"
#include "kernels/cuda/select_restore.h"
#include "sparse/bsa_selector.h"
#include "sparse/device_token_layout.h"
#include "sparse/selection.h"
#include "sparse/vmoba_options.h"
#include "sparse/vsa_selector.h"

namespace sparsescope {

// Bytes of scores or gates that are held at once.
inline constexpr int64_t kDeviceScoreBytes = int64_t{64} << 20;

struct DeviceSelectorCall {
  AttentionTensor q, k;  // [B, H, S, D] on the device
  float scale = 1.0f;
  std::shared_ptr<DeviceTokenLayout> layout;
  int64_t score_bytes = kDeviceScoreBytes;  // changes no result
};

// The lists of some (batch, head) pairs, which share a kernel call. Owns them on the device.
class DeviceSelection {
 public:
  SparseSelection view() const;
  const DevicePlanes& planes() const { return planes_; }
  // Computed query-key pairs of each plane over all S * S pairs; waits for the selection.
  std::vector<double> density() const;
  // BSA: pruned rows take the output of others.
  bool restores() const { return restore_from_.size() > 0; }
  cuda::RestoreMap restore_map() const;
  // The same for the kernel; none where pruned rows have no source.
  RowCopies copies() const;
  // The lists as the host's selectors give them; restore_from is that of the planes, one after the
  // other.
  BlockLists to_host() const;

 private:
  friend class DeviceListBuilder;
  std::shared_ptr<DeviceTokenLayout> layout_;
  DevicePlanes planes_;
  int32_t heads_ = 1;            // H
  bool rows_are_order_ = false;  // rows_ is empty: items point into the key order
  cuda::DeviceArray<int32_t> rows_, range_ids_;
  cuda::DeviceArray<SparseItem> items_;
  cuda::DeviceArray<SparseStrand> strands_;  // [planes, strands of a plane]
  cuda::DeviceArray<int64_t> pairs_;         // [planes]
  cuda::DeviceArray<int32_t> restore_from_;  // [planes, S_video]
  cuda::DeviceArray<int32_t> first_copy_, copy_tokens_;
};

// Error(kUsage) as select_vsa.
DeviceSelection select_vsa_on_device(const DeviceSelectorCall& call,
                                     std::span<const VsaHead> heads);
// Heads of the same query options, restore and kv rule, the latter kGaussLogit or kTopK; others are
// Error(kUnsupported).
DeviceSelection select_bsa_on_device(const DeviceSelectorCall& call,
                                     std::span<const BsaHead> heads);
// All samples of the heads, as select_vmoba. compat is Error(kUnsupported).
DeviceSelection select_vmoba_on_device(const DeviceSelectorCall& call,
                                       std::span<const int64_t> heads, const VmobaOptions& options);

}  // namespace sparsescope
