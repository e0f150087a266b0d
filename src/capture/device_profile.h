// Attention calls whose tensors lie on the device, recorded there: only sums come back.
#pragma once

#include <vector>

#include "capture/device_layout.h"
#include "capture/site_statistics.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"

namespace sparsescope {

// As the instrumented kernel computes it, with its masses dropped.
void attend_on_device(const AttentionCall& call, const DeviceLayout& layout, Impl impl);

// All arrays of the site. map: null, or [H, N, N] for the tile masses. Batch must be 1.
std::vector<StatArray> record_on_device(const AttentionCall& call, const CallLayout& call_layout,
                                        const DeviceLayout& layout, Impl impl, float* map);

}  // namespace sparsescope
