// VMoBA's statistics of one recorded call, computed on the device from the sampled queries, the
// keys, and the log sums that attention leaves: top-k and every pool of the threshold rule, for all
// candidate partitions at once. Rules and definitions: capture/vmoba_rule.h.
//
// Plain structs with host pointers; no CUDA header is needed to include this.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/key_cells.h"
#include "core/tensor_view.h"

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
  const KeyCells* cells = nullptr;  // with the blocks of these partitions
  std::vector<GatePartition> partitions;
  std::span<const int32_t> row_token;  // [rows] the sampled rows
};

struct GateTables;
std::shared_ptr<const GateTables> make_gate_tables(const GateLayout& layout);

// Sums of one head and partition over the rows: probability and tokens that are kept.
struct ReducedGates {
  std::vector<double> topk_mass, topk_tokens;  // [k]
  // [pool, tau]: query_head, head_global, block, overall; tau 0.05 to 0.95
  std::vector<double> tau_mass, tau_tokens;
};

// Masses of a run of sampled rows on blocks, on the device. Those of partitions without a finer one
// are there.
struct BlockMassChunk {
  int32_t first_head = 0, num_heads = 0;
  int32_t first_row = 0, num_rows = 0;
  int32_t row_stride = 0;   // at least num_rows
  float* masses = nullptr;  // [num_heads, blocks, row_stride]
};

class GateReduction {
 public:
  // Gates of all heads that take no more than this are kept. Above it they are computed anew for
  // each pass over them, as many heads at a time as take three quarters of it.
  static constexpr int64_t kGateBytes = int64_t{256} << 20;

  // Queues the search for the cuts of all pools. q and k [1, H, S, D] on the device.
  GateReduction(std::shared_ptr<const GateTables> tables, const AttentionTensor& q,
                const AttentionTensor& k, int64_t gate_bytes = kGateBytes);
  ~GateReduction();
  GateReduction(const GateReduction&) = delete;
  GateReduction& operator=(const GateReduction&) = delete;

  // Queues all rows. lse [H, S] on the device, natural log, of scores with this scale.
  void reduce_rows(const float* lse, float scale);
  // Queues the chunk's rows, of at most heads_at_once heads; its other blocks are filled in.
  void consume(const BlockMassChunk& chunk);
  int32_t heads_at_once() const;
  // [H][partitions]; waits for the device. Call once, after all rows.
  std::vector<std::vector<ReducedGates>> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope::cuda
