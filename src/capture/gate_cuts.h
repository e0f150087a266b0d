// VMoBA's threshold rule for the pools that span more than one query, for all taus of the
// statistics at once.
//
// Histograms of the gates (count and sum of each bin, for each head and each block) tell the bin in
// which each cut falls; the gates of those bins are sorted. The cuts are those of select_blocks.
// Every entry then gets a code: how many of the cuts that concern its head and block keep it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "capture/call_layout.h"
#include "capture/gate_codes.h"
#include "capture/gate_store.h"
#include "capture/gate_tally.h"
#include "capture/key_means.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"

namespace sparsescope {

// Memory that calls one after the other share.
struct GateMemory {
  std::vector<float> gates;
  std::vector<uint8_t> codes;
  std::vector<GateTally> tallies;  // [threads]
};

struct GateSelection {
  std::unique_ptr<GateStore> store;  // null without partitions
  std::vector<uint8_t> codes;        // [pieces, blocks, stride] as in the store
  std::vector<CutOrder> orders;      // [H, blocks] which cuts a code stands for

  // Once the selection is not needed any more.
  void give_back(GateMemory& memory);
  // Asks for what belongs to a row block some time before it is read.
  void prefetch(int64_t head, int64_t block) const;
  // codes of a row block: [blocks, store->stride_of(block)]
  const uint8_t* codes_of(int64_t head, int64_t block) const;
};

// Of batch entry 0. The store refers to layout and means; results do not depend on the budget.
// memory: taken from, and given back to by GateSelection::give_back.
GateSelection find_gate_cuts(const AttentionTensor& q, const CallLayout& layout,
                             const KeyMeans& means, const RowStatsKernels& kernels,
                             ThreadPool& pool, int64_t budget_bytes = kGateBudgetBytes,
                             GateMemory* memory = nullptr);

}  // namespace sparsescope
