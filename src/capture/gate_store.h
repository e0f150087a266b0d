// The gates of one call's sampled rows, in pieces of consecutive blocks of rows of a head. They are
// kept where all pieces fit a budget, and computed anew at each reading above it.
//
// A piece is [blocks of all partitions, stride], slot 64*b + i being lane i of its row block b. The
// stride leaves a gap behind the slots: rows a power of two apart would share a few sets of the
// cache. Entries of a query's own block, and of lanes that hold no row, are +infinity: they stand
// above all others and lie in no bin of the others.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "capture/call_layout.h"
#include "capture/key_means.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"

namespace sparsescope {

struct GateRange {
  FiniteRange finite;    // lo and hi of all gates, sums of those of the other blocks
  double own_sum = 0.0;  // of the gates of queries in the block itself
  int64_t own_count = 0;

  void operator+=(const GateRange& other);
};

// Gates of a call that take no more than this are kept.
inline constexpr int64_t kGateBudgetBytes = int64_t{64} << 20;

struct GatePiece {
  int64_t head = 0;
  int64_t first_block = 0, num_blocks = 0;  // of SampledRows::blocks
  int64_t slots() const { return num_blocks * kRowLanes; }
  int64_t stride() const { return slots() + kRowLanes; }
};

// At most 64 sampled rows.
struct GateRows {
  const float* gate = nullptr;  // [blocks of all partitions, stride]
  int64_t stride = 0;
  const float* own = nullptr;  // [partitions, 64] gates of the own blocks
};

class GateStore {
 public:
  // Computes ranges and own gates of batch entry 0, and the gates where they fit the budget.
  // memory: of an earlier store, to be used again.
  GateStore(const AttentionTensor& q, const CallLayout& layout, const KeyMeans& means,
            const RowStatsKernels& kernels, ThreadPool& pool, int64_t budget_bytes,
            std::vector<float> memory);
  std::vector<float> take_memory() { return std::move(gates_); }

  int64_t num_pieces() const { return pieces_per_head_ * q_.heads; }
  GatePiece piece(int64_t idx) const;
  int64_t piece_size() const { return piece_size_; }  // entries of a full piece
  // [blocks, stride] of a piece; scratch holds it where it is not kept.
  const float* read(int64_t idx, std::vector<float>& scratch) const;
  // A block of rows; columns [D, 64] are its queries.
  GateRows read_block(int64_t head, int64_t block, const float* columns,
                      std::vector<float>& scratch) const;
  // Any rows of the head; columns [D, 64] are their queries.
  GateRows compute_rows(int64_t head, std::span<const int32_t> rows, const float* columns,
                        std::vector<float>& scratch) const;
  const GateRange& range(int64_t head, int64_t block) const {
    return ranges_[head * layout_.partition_blocks + block];
  }

 private:
  // gate [blocks, stride], own [partitions, 64]
  void compute_rows(int64_t head, std::span<const int32_t> rows, const float* columns, float* gate,
                    int64_t stride, float* own) const;
  void compute(const GatePiece& piece, float* gate, float* own) const;
  void add_ranges(const GatePiece& piece, const float* gate, const float* own,
                  std::vector<GateRange>& ranges) const;
  int64_t num_blocks() const { return std::ssize(layout_.sampled.blocks); }
  float* own_of(int64_t head, int64_t block) {
    return &own_[(head * num_blocks() + block) * num_partitions_ * kRowLanes];
  }

  const AttentionTensor q_;
  const CallLayout& layout_;
  const KeyMeans& means_;
  const RowStatsKernels& kernels_;
  int64_t num_partitions_ = 0, piece_blocks_ = 0, pieces_per_head_ = 0;
  int64_t piece_size_ = 0;  // entries of a full piece
  bool kept_ = false;
  std::vector<float> gates_;       // [pieces, blocks, slots] where kept
  std::vector<float> own_;         // [H, row blocks, partitions, 64]
  std::vector<GateRange> ranges_;  // [H, blocks]
};

}  // namespace sparsescope
