// VMoBA's statistics of one recorded call, computed on the device from the chunks of the
// instrumented kernel over the sampled rows: top-k and every pool of the threshold rule, for all
// candidate partitions at once. Rules and definitions: capture/vmoba_rule.h.
//
// Plain structs with host pointers; no CUDA header is needed to include this.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/key_cells.h"
#include "core/row_groups.h"
#include "core/tensor_view.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

struct GatePartition {
  int64_t first_block = 0, num_blocks = 0;  // among the blocks of all partitions
  std::span<const float> size;              // [num_blocks] tokens; only the last may be smaller
  std::span<const int32_t> self;            // [rows] block that the row lies in
  // A finer partition whose blocks each lie in one block of this one, or -1, and which block.
  int64_t finer = -1;
  std::span<const int32_t> block_of_finer;
};

struct GateLayout {
  const KeyCells* cells = nullptr;  // of the chunks, with the blocks of these partitions
  std::vector<GatePartition> partitions;
  std::span<const int32_t> row_token;    // [rows] the sampled rows
  std::span<const RowBlock> row_blocks;  // of these rows, as the chunks number them
};

struct GateTables;
std::shared_ptr<const GateTables> make_gate_tables(const GateLayout& layout);

// Sums of one head and partition over the rows: probability and tokens that are kept.
struct ReducedGates {
  std::vector<double> topk_mass, topk_tokens;  // [k]
  // [pool, tau]: query_head, head_global, block, overall; tau 0.05 to 0.95
  std::vector<double> tau_mass, tau_tokens;
};

class GateReduction {
 public:
  // Gates of all heads that take no more than this are kept. Above it they are computed anew for
  // each pass over them, as many heads at a time as take a quarter of it.
  static constexpr int64_t kGateBytes = int64_t{256} << 20;

  // Queues the search for the cuts of all pools. q and k [1, H, S, D] on the device.
  GateReduction(std::shared_ptr<const GateTables> tables, const AttentionTensor& q,
                const AttentionTensor& k, int64_t gate_bytes = kGateBytes);
  ~GateReduction();
  GateReduction(const GateReduction&) = delete;
  GateReduction& operator=(const GateReduction&) = delete;

  // Queues the chunk's rows; row blocks that hold no sampled rows are left out.
  void consume(const MassChunk& chunk, void* stream);
  // [H][partitions]; waits for the device. Call once, after all chunks.
  std::vector<std::vector<ReducedGates>> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope::cuda
