// VMoBA's threshold rule for the pools that span more than one query, for all taus of the
// statistics at once.
//
// Histograms of the gates (count and sum of each bin, for each head and each block) tell the bin in
// which each cut falls; the gates of those bins are sorted. The cuts are those of select_blocks.
// Every entry then has a code: how many of the cuts that concern its head and block keep it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
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
  std::vector<GateTally> tallies;  // [threads]
};

struct TiedBlock {
  int64_t block = 0;  // of all partitions
  const PartitionLayout* partition = nullptr;
  BlockCuts cuts;
};

struct GateSelection {
  std::unique_ptr<GateStore> store;  // null without partitions
  // [H, blocks, kPoolCodes] for RowStatsKernels::pool_codes: the code of a gate is the number of
  // cuts that keep it, where no equal gate falls on the other side of one
  std::vector<float> limits;
  std::vector<CutOrder> orders;              // [H, blocks] which cuts a code stands for
  std::vector<std::vector<TiedBlock>> tied;  // [H] blocks with a cut among equal gates
};

// Of rows (numbers of the sampled rows) with these gates: how many of the cuts that concern an
// entry keep it. code [blocks of all partitions, 64]
void find_gate_codes(const CallLayout& layout, const GateSelection& selection,
                     const RowStatsKernels& kernels, int64_t head, std::span<const int32_t> rows,
                     const GateRows& gates, uint8_t* code);

// Of batch entry 0. The store refers to layout and means; results do not depend on the budget.
// memory: gates are taken from there; GateStore::take_memory gives them back.
GateSelection find_gate_cuts(const AttentionTensor& q, const CallLayout& layout,
                             const KeyMeans& means, const RowStatsKernels& kernels,
                             ThreadPool& pool, int64_t budget_bytes = kGateBudgetBytes,
                             GateMemory* memory = nullptr);

}  // namespace sparsescope
