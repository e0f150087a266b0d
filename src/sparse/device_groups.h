// Groups that are selected where q and k lie, on the device.
#pragma once

#include <memory>
#include <vector>

#include "sparse/device_token_layout.h"
#include "sparse/selected_group.h"

namespace sparsescope {

class DeviceSelectors {
 public:
  DeviceSelectors(Impl host, ThreadPool& pool) : host_(host), pool_(pool) {}

  // q, k and out lie on the device, as lse and d_out will. Random tiles and the row oracle, which
  // bound the method and are none, are chosen on the host, the latter from copies of q, k and v.
  SelectedGroups select(const GroupingCall& grouping);
  // The layouts have changed.
  void clear() { layouts_.clear(); }

 private:
  std::shared_ptr<DeviceTokenLayout> device_layout(
      const std::shared_ptr<const TokenLayout>& layout);
  void select_method(const GroupingCall& grouping, const std::vector<int64_t>& heads,
                     SelectedGroups& groups);
  void select_bounds(const GroupingCall& grouping, const std::vector<int64_t>& heads,
                     SelectedGroups& groups);

  Impl host_;
  ThreadPool& pool_;
  std::vector<std::shared_ptr<DeviceTokenLayout>> layouts_;
};

// Where q and k lie: selectors on the device, or the host's of impl.
SelectedGroups select_groups(const GroupingCall& grouping, DeviceSelectors& on_device, Impl impl,
                             ThreadPool& pool);

}  // namespace sparsescope
