// Runs over the gates of all video rows, in parallel over (head, run of row blocks).
#pragma once

#include <cstdint>
#include <functional>

#include "capture/call_layout.h"
#include "capture/key_means.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// The gates of one row block against the blocks of all partitions.
struct GateBlock {
  int64_t head = 0;
  int32_t first_row = 0;  // position in RowGroups::order
  int32_t num_rows = 0;
  const float* gate = nullptr;  // [blocks of all partitions, 64]
};

struct GateScan {
  const AttentionTensor& q;
  const CallLayout& layout;
  const KeyMeans& means;
  const RowStatsKernels& kernels;
  ThreadPool& pool;

  // Calls use(worker, block) for every stride-th row block of every head.
  void run(int64_t stride,
           const std::function<void(int worker, const GateBlock& block)>& use) const;
};

}  // namespace sparsescope
