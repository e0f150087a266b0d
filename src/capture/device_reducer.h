// The statistics of recorded calls whose tensors lie on the device: reduced there
// (kernels/cuda/mass_reduction.h), read here as the same sums that the reducers of the host make.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "capture/call_layout.h"
#include "capture/reducers/head_sums.h"
#include "capture/site_statistics.h"
#include "core/tensor_view.h"
#include "kernels/cuda/mass_chunk.h"
#include "kernels/cuda/mass_reduction.h"

namespace sparsescope {

// The layout on the device, and how its sums are read. The chunks' cells are those of the layout.
// layout must outlive the object.
class DeviceLayout {
 public:
  explicit DeviceLayout(const CallLayout& layout);

  const CallLayout& layout() const { return layout_; }
  std::shared_ptr<const cuda::ReductionTables> tables() const { return tables_; }
  // VMoBA's sums stay empty.
  HeadSums head_sums(const cuda::ReducedHead& head) const;
  // As window_cosine (capture/window_cosine.h) makes it.
  std::optional<StatArray> window_cosine(const std::vector<cuda::ReducedHead>& heads) const;

 private:
  const CallLayout& layout_;
  std::vector<TileShape> windows_;
  std::shared_ptr<const cuda::ReductionTables> tables_;
};

}  // namespace sparsescope
