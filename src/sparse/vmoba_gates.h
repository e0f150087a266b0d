// The gates of VMoBA, computed 64 queries at a time: gate[c, s] = mean(k in block c) . q[s].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/row_groups.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// A plane is one (batch, head): number batch * heads.size() + index of the head. A word is 64
// queries at consecutive layout positions, a bit of a selection's word each.
class VmobaGates {
 public:
  // Everything but the tensors' data must outlive the object.
  VmobaGates(const AttentionTensor& q, const AttentionTensor& k, std::span<const int64_t> heads,
             const TokenLayout& layout, const RowStatsKernels& kernels, ThreadPool& pool);

  int64_t num_samples() const { return q_.batch; }
  int64_t num_heads() const { return static_cast<int64_t>(heads_.size()); }
  int64_t num_planes() const { return num_samples() * num_heads(); }
  int64_t num_blocks() const { return layout_.num_tiles(); }
  int64_t num_rows() const { return layout_.video_tokens(); }
  int64_t num_words() const { return (num_rows() + kRowLanes - 1) / kRowLanes; }
  const RowStatsKernels& kernels() const { return kernels_; }

  int32_t lanes(int64_t word) const;
  uint64_t lane_mask(int64_t word) const { return ~uint64_t{0} >> (kRowLanes - lanes(word)); }
  // [lanes] the block that each query of the word lies in.
  const int32_t* own_blocks(int64_t word) const { return &own_block_[word * kRowLanes]; }

  // gates [last - first, 64] of blocks [first, last); lanes without a query hold 0. scratch is
  // overwritten.
  void compute(int64_t plane, int64_t word, int64_t first, int64_t last,
               std::vector<float>& scratch, float* gates) const;

 private:
  void find_means(const AttentionTensor& k, ThreadPool& pool);

  AttentionTensor q_;
  std::span<const int64_t> heads_;
  const TokenLayout& layout_;
  const RowStatsKernels& kernels_;
  std::vector<int32_t> own_block_;  // [S_video]
  std::vector<float> means_;        // [planes, N, D]
};

}  // namespace sparsescope
