// What all workers that reduce one call share.
#pragma once

#include "capture/call_layout.h"
#include "capture/gate_cuts.h"
#include "capture/key_means.h"
#include "core/tensor_view.h"
#include "kernels/row_stats.h"

namespace sparsescope {

struct ReductionContext {
  const CallLayout& layout;
  const AttentionTensor& q;
  float scale;
  const KeyMeans& means;
  const GateSelection& cuts;
  const RowStatsKernels& kernels;
  float* map = nullptr;  // [H, N, N] or null: tile masses are not kept
};

}  // namespace sparsescope
